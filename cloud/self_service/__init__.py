"""What a company does by itself: sign up, accept the terms, see invoices, read, find faults, and ask for help."""
