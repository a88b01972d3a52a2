"""A classifier in an ONNX file as ART's attacks want it: ONNX Runtime gives answers and gradients.

ART itself takes gradients through PyTorch or TensorFlow, whose Linux wheels bring gigabytes. The nets here
are chains of six kinds of layer, and each one's gradient is an ONNX operator too. So `with_gradient` puts
the way back behind the file's own nodes, which stay as they are.
"""

import numpy as np
import onnx
import onnxruntime
from art.estimators.classification.classifier import ClassifierNeuralNetwork
from onnx import helper, numpy_helper

UP, DOWN = "gradient_of_logits", "gradient_of_x"


def conv_back(node, up, down, a, shapes, graph):
    """The transposed convolution, made as large as the layer's input."""
    (high, wide), strides, pads = a["kernel_shape"], a["strides"], a.get("pads", [0, 0, 0, 0])
    if list(strides) == [1, 1] and a.get("group", 1) == 1:
        # ONNX Runtime is faster at a convolution with the kernel turned round.
        kernel = next(numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == node.input[1])
        turned = f"{node.input[1]}_turned"
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]), turned))
        rest = [size - 1 - pad for size, pad in zip((high, wide, high, wide), pads)]
        return [helper.make_node("Conv", [up, turned], [down], kernel_shape=[high, wide], strides=strides, pads=rest)]
    came, went = shapes[node.input[0]][2:], shapes[node.output[0]][2:]
    reached = [(out - 1) * stride + kernel for out, stride, kernel in zip(went, strides, (high, wide))]
    rest = [size - (end - pads[i] - pads[i + 2]) for i, (size, end) in enumerate(zip(came, reached))]
    return [helper.make_node("ConvTranspose", [up, node.input[1]], [down], kernel_shape=[high, wide], strides=strides,
                             pads=pads, output_padding=rest, group=a.get("group", 1))]  # fmt: skip


def pool_back(node, up, down, a, shapes, graph):
    """Each gradient goes where the largest number came from."""
    places, size = f"{node.output[0]}_places", f"{node.output[0]}_size"
    node.output.append(places)
    return [
        helper.make_node("Shape", [node.input[0]], [size]),
        helper.make_node("MaxUnpool", [up, places, size], [down], kernel_shape=a["kernel_shape"], strides=a["strides"]),
    ]


def relu_back(node, up, down, a, shapes, graph):
    sign = f"{node.output[0]}_sign"
    return [helper.make_node("Sign", [node.output[0]], [sign]), helper.make_node("Mul", [up, sign], [down])]


def shape_back(node, up, down, a, shapes, graph):
    size = f"{node.output[0]}_size"
    return [helper.make_node("Shape", [node.input[0]], [size]), helper.make_node("Reshape", [up, size], [down])]


def gemm_back(node, up, down, a, shapes, graph):
    if not a.get("transB") or a.get("alpha", 1) != 1:
        raise SystemExit("evaluate: no gradient is written for a product whose weights are not [out, in]")
    return [helper.make_node("MatMul", [up, node.input[1]], [down])]


BACK = {"Conv": conv_back, "MaxPool": pool_back, "Relu": relu_back, "Flatten": shape_back, "Reshape": shape_back, "Gemm": gemm_back}


def with_gradient(model):
    """The model with a second input, a gradient of its logits [n, classes], and as a second output that of its pixels."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.value_info, *graph.input, *graph.output)}
    up, back = UP, []
    for node in reversed(graph.node):
        if node.op_type == "Constant":
            continue
        if node.op_type not in BACK:
            raise SystemExit(f"evaluate: no gradient is written for a layer of kind {node.op_type}")
        a = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        down = DOWN if node.input[0] == graph.input[0].name else f"{node.input[0]}_gradient"
        back += BACK[node.op_type](node, up, down, a, shapes, graph)
        up = down
    graph.node.extend(back)
    logits, pixels = graph.output[0], graph.input[0]
    graph.input.append(helper.make_tensor_value_info(UP, 1, ["n", shapes[logits.name][1]]))
    graph.output.append(helper.make_tensor_value_info(DOWN, 1, ["n", shapes[pixels.name][1]]))
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(made)
    return made


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def cross_entropy(logits, y):
    """Losses [n] and their gradients [n, classes]; y is one-hot."""
    p = softmax(logits.astype(np.float64))
    return -np.log(np.maximum((p * y).sum(axis=1), 1e-300)), p - y


def logits_ratio(logits, y):
    """Croce and Hein's DLR: how far the best wrong label leads, by the spread of the best three.

    ART has it for PyTorch and TensorFlow only.
    """
    rows, order = np.arange(len(logits)), np.argsort(logits, axis=1)
    right, best, third = y.argmax(axis=1), order[:, -1], order[:, -3]
    wrong = np.where(best == right, order[:, -2], best)
    lead, spread = logits[rows, wrong] - logits[rows, right], logits[rows, best] - logits[rows, third] + 1e-12
    gradient = np.zeros(logits.shape)
    for column, part in ((wrong, 1 / spread), (right, -1 / spread), (best, -lead / spread**2), (third, lead / spread**2)):
        gradient[rows, column] += part
    return lead / spread, gradient


LOSSES = {"cross-entropy": cross_entropy, "logits-ratio": logits_ratio}


class OnnxClassifier(ClassifierNeuralNetwork):
    """An estimator of ART. `asked` counts the rows that it was asked to label or to differentiate."""

    def __init__(self, path, shape, loss="cross-entropy"):
        model = onnx.load(path)
        super().__init__(model=model, clip_values=(0.0, 1.0), channels_first=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # The file itself answers; its copy with the way back is asked for gradients alone.
        self._answers, self._gradients = (
            onnxruntime.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"]) for m in (model, with_gradient(model))
        )
        self.asked = 0
        self._input, self._shape, self._loss = self._answers.get_inputs()[0].name, tuple(shape), LOSSES[loss]
        self.nb_classes = self.predict(np.zeros((1, *shape), np.float32)).shape[1]

    @property
    def input_shape(self):
        return self._shape

    def predict(self, x, batch_size=128, **_):
        """Logits. It takes more rows at a time than some attacks ask for."""
        self.asked += len(x)
        rows = np.asarray(x, np.float32).reshape(len(x), -1)
        parts = [self._answers.run(None, {self._input: rows[i : i + 256]})[0] for i in range(0, len(rows), 256)]
        return np.concatenate(parts)

    def pulled_back(self, x, logits_gradient):
        """Gradients of pixels, in the shape of `x`, given those of logits [n, classes]."""
        rows = np.asarray(x, np.float32).reshape(len(x), -1)
        return self._gradients.run([DOWN], {self._input: rows, UP: logits_gradient.astype(np.float32)})[0].reshape(x.shape)

    def compute_loss(self, x, y, reduction="none", **_):
        """Of each row; or their `reduction`."""
        losses = self._loss(self.predict(x), np.asarray(y))[0].astype(np.float32)
        return {"none": lambda: losses, "mean": losses.mean, "sum": losses.sum}[reduction]()

    def loss_gradient(self, x, y, **_):
        return self.pulled_back(x, self._loss(self.predict(x), np.asarray(y))[1])

    def class_gradient(self, x, label=None, **_):
        """Of one logit of each row, [n, 1, …], or of every logit, [n, classes, …]."""
        labels = range(self.nb_classes) if label is None else [label]
        self.asked += len(x) * len(labels)
        each = [np.eye(self.nb_classes)[np.broadcast_to(np.asarray(one, int), len(x))] for one in labels]
        return np.stack([self.pulled_back(x, one) for one in each], axis=1)

    def fit(self, x, y, **_):
        raise NotImplementedError("a protected model is not trained here")

    def get_activations(self, x, layer, batch_size, framework=False):
        raise NotImplementedError("no attack here looks at inner layers")

    def save(self, filename, path=None):
        raise NotImplementedError("it is a file already")


def check(classifier, x, y):
    """Stops unless the copy's logits are the file's to 1e-4, and small steps change logits and losses as the gradients say.

    The network is piecewise linear and has a fold wherever pixels of a black background are equal: so some noise is
    added first, and the median of the rows is asked.
    """
    x = np.asarray(x + np.random.default_rng(1).uniform(0, 0.02, x.shape), np.float32)
    logits = classifier.predict(x)
    copy = classifier._gradients.run(None, {classifier._input: x.reshape(len(x), -1), UP: np.zeros_like(logits)})[0]
    difference = float(np.abs(copy - logits).max())
    weights = np.random.default_rng(0).normal(size=logits.shape)
    gradient = classifier.pulled_back(x, weights).astype(np.float64)
    length = np.sqrt((gradient**2).reshape(len(x), -1).sum(axis=1))
    step = 1e-3 * gradient / length[:, None, None, None]
    ahead, behind = ((classifier.predict(x + sign * step) * weights).sum(axis=1) for sign in (1, -1))
    ratio = float(np.median((ahead - behind) / 2e-3 / length))
    far, direction = logits.astype(np.float64), 1e-6 * weights
    ahead, behind = (classifier._loss(far + sign * direction, y)[0] for sign in (1, -1))
    promised = (classifier._loss(far, y)[1] * direction).sum(axis=1)
    loss_error = float(np.median(np.abs((ahead - behind) / 2 - promised)) / np.abs(promised).max())
    if difference > 1e-4 or abs(ratio - 1) > 0.01 or loss_error > 1e-4:
        raise SystemExit(f"evaluate: copy and file differ: logits by {difference:.1e}, gradients by {ratio - 1:.1e} and {loss_error:.1e}")
    return {"logits_differ": difference, "gradient_differs": ratio - 1, "loss_gradient_differs": loss_error}
