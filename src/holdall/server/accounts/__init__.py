"""Who may ask: users with passwords, machines with keys, sessions, and how often they may fail."""
