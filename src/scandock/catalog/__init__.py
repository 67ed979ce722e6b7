"""What is known: tables, queries, migrations."""
