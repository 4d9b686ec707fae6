"""What the relay remembers as an authorization server: clients, grants, codes and tokens."""
