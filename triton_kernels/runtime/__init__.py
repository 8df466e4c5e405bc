"""What every chapter shares: where an op runs, how a kernel is launched, configured and traced."""
