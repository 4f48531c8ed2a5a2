"""Telemetry: where finished spans go. ``span_queue`` gathers them and lets nobody wait;
``otlp`` puts them in OpenTelemetry's words, and is the only module that imports its
packages (the extra ``otel``). Wiring imports that one where traces are made, and
nowhere else.
"""
