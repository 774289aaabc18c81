"""What travels: the Avro schemas, frozen dataclasses that mirror them, and one codec. Imports nothing of ours."""
