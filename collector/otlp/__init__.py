"""OTLP/HTTP: spans and log records of OpenTelemetry become predictions, outcomes and oversight.

`records` says what a span is, `binary` and `text` read it from protobuf and JSON, `genai` and
`openinference` find the model call in it, `judgements` what was said of one; `answers` words the
reply. All of it is pure; `collector.adapters.otlp` puts it together.
"""
