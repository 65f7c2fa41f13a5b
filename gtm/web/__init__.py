"""What people and machines see and order over HTTP: requests in, pages, JSON, metrics and orders out."""
