"""Scandock: compressed imaging sessions in, archived sessions out."""

__version__ = "0.1.0"
