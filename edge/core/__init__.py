"""The values that all parts hand to each other, and the ports between them. Pure."""
