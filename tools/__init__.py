"""Scripts of this repository; the Makefile calls them. No part of the product."""
