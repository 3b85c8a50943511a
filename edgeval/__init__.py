"""The workbench: targets, quantization, training, export, comparison, campaigns, records and reports."""
