"""What a cavity and the fluctuations around a state oscillate like."""
