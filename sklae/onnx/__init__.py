"""Fitted estimators as ONNX models."""
from sklae.onnx._convert import convert
