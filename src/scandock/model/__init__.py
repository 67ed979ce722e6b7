"""The nouns of Scandock: frozen values, states as tables, no input or output."""
