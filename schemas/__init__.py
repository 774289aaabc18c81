"""What travels: the Avro schemas, the frozen dataclasses that mirror them, and the one codec. Imports nothing of ours."""
