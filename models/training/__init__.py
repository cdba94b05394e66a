"""How bundles are made: scikit-learn heads, ONNX export, parity."""
