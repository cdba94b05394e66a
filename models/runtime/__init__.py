"""What a gateway needs of the models: bundles and the ONNX scorer."""
