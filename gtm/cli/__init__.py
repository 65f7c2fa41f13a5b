"""The command line: words in, tables or JSON and an honest exit status out."""
