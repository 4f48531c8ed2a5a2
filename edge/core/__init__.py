"""What all parts hand to each other. Pure.

The values, the ports between the parts, errors, reason words and counters; what any
front judges of a request's head (``head_rules``); and the timer wheel.
"""
