"""The fast way: plain reads answered on the event loop, viewers parked as data."""
