"""What is proved rather than measured: certificates, machine forms, findings about the deck, traceability."""
