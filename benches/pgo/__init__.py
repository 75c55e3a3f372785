"""What the compiler is trained with: it lays the hot path out by what was counted."""
