"""What people read: text on the terminal, and one self-contained page."""
