import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.protobuf.DescriptorProtos.DescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Label;
import com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Type;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Java's readers: Jackson's databind, into the classes that a Java server would declare and as a tree, and
 * protobuf-java. Frames and lines are those of read.py.
 */
public final class Read {
    private static final int CELLS = 9;

    /** One instance by name. What is not there stays 0. */
    public static final class Row {
        public double x0, x1, x2, x3, x4, x5, x6, x7, x8;

        double[] cells() {
            return new double[] {x0, x1, x2, x3, x4, x5, x6, x7, x8};
        }
    }

    public static final class V1 {
        public JsonNode instances;
        public JsonNode inputs;
    }

    public static final class V2 {
        public List<Tensor> inputs;
    }

    public static final class Tensor {
        public String name;
        public int[] shape;
        public String datatype;
        public JsonNode data;
        public Parameters parameters;
    }

    public static final class Parameters {
        public Integer binary_data_size;
    }

    public static final class Event {
        public JsonNode data;
        public byte[] data_base64;
    }

    private static final class Refused extends Exception {}

    private interface View {
        double[][] rows() throws Exception;
    }

    private static JsonMapper.Builder builder() {
        return JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
    }

    /** Jackson as it comes, but for strangers, and the two settings that services like to change. */
    private static final Map<String, ObjectMapper> MAPPERS = new LinkedHashMap<>(Map.of(
        "", builder().build(),
        "folding-", builder().enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_PROPERTIES).build(),
        "strict-", builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build()));

    // ---- rows -------------------------------------------------------------------------------------

    private static void flat(JsonNode node, List<Double> out) throws Refused {
        if (node.isArray()) {
            for (JsonNode one : node) {
                flat(one, out);
            }
        } else if (node.isNumber() || node.isBoolean() || node.isTextual()) {
            // `asDouble` is lenient: it takes "81" and true.
            out.add(node.isBoolean() ? (node.asBoolean() ? 1.0 : 0.0) : node.asDouble());
        } else {
            throw new Refused();
        }
    }

    private static double[] flat(JsonNode node) throws Refused {
        List<Double> out = new ArrayList<>();
        flat(node, out);
        return out.stream().mapToDouble(x -> x).toArray();
    }

    private static double[] named(JsonNode node) throws Refused {
        double[] row = new double[CELLS];
        for (int i = 0; i < CELLS; i++) {
            JsonNode one = node.get("x" + i);
            if (one == null) {
                throw new Refused();
            }
            row[i] = flat(one)[0];
        }
        return row;
    }

    private static double[][] rows(ObjectMapper mapper, JsonNode node, boolean tree) throws Exception {
        if (node == null || node.isEmpty()) {
            throw new Refused();
        }
        if (node.isObject()) {
            return new double[][] {tree ? named(node) : mapper.treeToValue(node, Row.class).cells()};
        }
        boolean bare = true;
        for (JsonNode one : node) {
            bare &= !one.isContainerNode();
        }
        if (bare) {
            return new double[][] {flat(node)};
        }
        double[][] rows = new double[node.size()][];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = node.get(i).isObject() ? rows(mapper, node.get(i), tree)[0] : flat(node.get(i));
        }
        return rows;
    }

    private static double[][] columns(ObjectMapper mapper, JsonNode node) throws Exception {
        if (node.isArray()) {
            return rows(mapper, node, true);
        }
        double[][] columns = new double[CELLS][];
        for (int i = 0; i < CELLS; i++) {
            columns[i] = flat(node.get("x" + i));
        }
        return merged(columns);
    }

    private static double[][] merged(double[][] columns) throws Refused {
        double[][] rows = new double[columns[0].length][columns.length];
        for (int i = 0; i < columns.length; i++) {
            if (columns[i].length != rows.length) {
                throw new Refused();
            }
            for (int row = 0; row < rows.length; row++) {
                rows[row][i] = columns[i][row];
            }
        }
        return rows;
    }

    /** A vector is one row. */
    private static double[][] shaped(double[] numbers, long[] shape) throws Refused {
        long product = 1;
        for (long length : shape) {
            if (length < 0 || product > 1 << 30) {
                throw new Refused();
            }
            product *= length;
        }
        if (product != numbers.length || product == 0) {
            throw new Refused();
        }
        int n = shape.length > 1 ? (int) shape[0] : 1;
        double[][] rows = new double[n][];
        for (int i = 0; i < n; i++) {
            rows[i] = Arrays.copyOfRange(numbers, i * numbers.length / n, (i + 1) * numbers.length / n);
        }
        return rows;
    }

    private static double[] column(double[][] rows) {
        return Arrays.stream(rows).flatMapToDouble(Arrays::stream).toArray();
    }

    /** The only one or the first of several, all in their order, and those with the features' names. */
    private static void tensors(List<String> names, List<double[][]> found, Map<String, View> views, String way) {
        views.put(way + (found.size() == 1 ? "first" : "head"), () -> found.get(0));
        if (found.size() < 2) {
            return;
        }
        views.put(way + "order", () -> merged(found.stream().map(Read::column).toArray(double[][]::new)));
        views.put(way + "names", () -> {
            double[][] columns = new double[CELLS][];
            for (int i = 0; i < CELLS; i++) {
                int at = names.lastIndexOf("x" + i);
                if (at < 0) {
                    throw new Refused();
                }
                columns[i] = column(found.get(at));
            }
            return merged(columns);
        });
    }

    // ---- Jackson ----------------------------------------------------------------------------------

    private static void plain(ObjectMapper mapper, byte[] value, Map<String, View> views, String way) throws Exception {
        JsonNode document = mapper.readTree(value);
        if (!document.isContainerNode()) {
            throw new Refused();
        }
        views.put(way + "class", () -> rows(mapper, document, false));
        views.put(way + "tree", () -> rows(mapper, document, true));
    }

    private static void v1(ObjectMapper mapper, byte[] value, Map<String, View> views, String way) throws Exception {
        V1 body = mapper.readValue(value, V1.class);
        if (body.instances == null && body.inputs == null) {
            throw new Refused();
        }
        if (body.instances != null) {
            views.put(way + "instances", () -> rows(mapper, body.instances, false));
            views.put(way + "instances-tree", () -> rows(mapper, body.instances, true));
        }
        if (body.inputs != null) {
            views.put(way + "inputs", () -> columns(mapper, body.inputs));
        }
    }

    private static void v2(ObjectMapper mapper, byte[] value, String length, Map<String, View> views, String way)
            throws Exception {
        byte[] head = length == null ? value : Arrays.copyOf(value, Math.min(value.length, Integer.parseInt(length)));
        V2 body = mapper.readValue(head, V2.class);
        List<String> names = new ArrayList<>();
        List<double[][]> found = new ArrayList<>();
        int at = head.length;
        for (Tensor tensor : body.inputs) {
            boolean typed = tensor.data != null && !tensor.data.isNull();
            double[] numbers;
            if (typed || tensor.parameters == null || tensor.parameters.binary_data_size == null) {
                numbers = flat(tensor.data);
            } else {
                int end = at + tensor.parameters.binary_data_size;
                numbers = elements(tensor.datatype, ByteBuffer.wrap(Arrays.copyOfRange(value, at, Math.min(value.length, end))));
                at = end;
            }
            long[] shape = Arrays.stream(tensor.shape).asLongStream().toArray();
            found.add(shaped(numbers, shape));
            names.add(tensor.name);
        }
        tensors(names, found, views, way);
    }

    private static void event(ObjectMapper mapper, byte[] value, Map<String, View> views, String way) throws Exception {
        Event event = mapper.readValue(value, Event.class);
        if (event.data != null) {
            byte[] data = event.data.isTextual() ? event.data.binaryValue() : mapper.writeValueAsBytes(event.data);
            every(mapper, data, null, views, way + "data-");
        }
        if (event.data_base64 != null) {
            every(mapper, event.data_base64, null, views, way + "base64-");
        }
    }

    /** A class of another dialect is all zero or empty, which is no reading: only trees are asked for rows. */
    private static void every(ObjectMapper mapper, byte[] value, String length, Map<String, View> views, String way) {
        try {
            JsonNode document = mapper.readTree(value);
            views.put(way + "tree", () -> rows(mapper, document, true));
        } catch (Exception refused) {
            // not this dialect
        }
        try {
            v1(mapper, value, views, way);
        } catch (Exception refused) {
            // not this dialect
        }
        try {
            v2(mapper, value, length, views, way);
        } catch (Exception refused) {
            // not this dialect
        }
    }

    private static double[] elements(String datatype, ByteBuffer raw) throws Refused {
        raw.order(ByteOrder.LITTLE_ENDIAN);
        List<Double> out = new ArrayList<>();
        while (raw.hasRemaining()) {
            switch (datatype) {
                case "BOOL" -> out.add(raw.get() == 0 ? 0.0 : 1.0);
                case "INT8" -> out.add((double) raw.get());
                case "UINT8" -> out.add((double) (raw.get() & 0xff));
                case "INT16" -> out.add((double) raw.getShort());
                case "UINT16" -> out.add((double) (raw.getShort() & 0xffff));
                case "INT32" -> out.add((double) raw.getInt());
                case "UINT32" -> out.add((double) (raw.getInt() & 0xffffffffL));
                case "INT64" -> out.add((double) raw.getLong());
                case "UINT64" -> out.add(unsigned(raw.getLong()));
                case "FP32" -> out.add((double) raw.getFloat());
                case "FP64" -> out.add(raw.getDouble());
                default -> throw new Refused();
            }
        }
        return out.stream().mapToDouble(x -> x).toArray();
    }

    private static double unsigned(long number) {
        return Double.parseDouble(Long.toUnsignedString(number));
    }

    // ---- protobuf-java ----------------------------------------------------------------------------

    private static final Descriptor REQUEST = descriptor();

    private static FieldDescriptorProto field(String name, int number, Label label, Type type, String of) {
        FieldDescriptorProto.Builder field =
            FieldDescriptorProto.newBuilder().setName(name).setNumber(number).setLabel(label).setType(type);
        return (of == null ? field : field.setTypeName(of)).build();
    }

    private static Descriptor descriptor() {
        Label one = Label.LABEL_OPTIONAL;
        Label many = Label.LABEL_REPEATED;
        DescriptorProto contents = DescriptorProto.newBuilder().setName("InferTensorContents")
            .addField(field("bool_contents", 1, many, Type.TYPE_BOOL, null))
            .addField(field("int_contents", 2, many, Type.TYPE_INT32, null))
            .addField(field("int64_contents", 3, many, Type.TYPE_INT64, null))
            .addField(field("uint_contents", 4, many, Type.TYPE_UINT32, null))
            .addField(field("uint64_contents", 5, many, Type.TYPE_UINT64, null))
            .addField(field("fp32_contents", 6, many, Type.TYPE_FLOAT, null))
            .addField(field("fp64_contents", 7, many, Type.TYPE_DOUBLE, null))
            .addField(field("bytes_contents", 8, many, Type.TYPE_BYTES, null)).build();
        DescriptorProto tensor = DescriptorProto.newBuilder().setName("InferInputTensor")
            .addField(field("name", 1, one, Type.TYPE_STRING, null))
            .addField(field("datatype", 2, one, Type.TYPE_STRING, null))
            .addField(field("shape", 3, many, Type.TYPE_INT64, null))
            .addField(field("contents", 5, one, Type.TYPE_MESSAGE, ".inference.InferTensorContents")).build();
        DescriptorProto request = DescriptorProto.newBuilder().setName("ModelInferRequest")
            .addField(field("model_name", 1, one, Type.TYPE_STRING, null))
            .addField(field("model_version", 2, one, Type.TYPE_STRING, null))
            .addField(field("id", 3, one, Type.TYPE_STRING, null))
            .addField(field("inputs", 5, many, Type.TYPE_MESSAGE, ".inference.InferInputTensor"))
            .addField(field("raw_input_contents", 7, many, Type.TYPE_BYTES, null)).build();
        FileDescriptorProto file = FileDescriptorProto.newBuilder().setName("inference.proto").setSyntax("proto3")
            .setPackage("inference").addMessageType(contents).addMessageType(tensor).addMessageType(request).build();
        try {
            return FileDescriptor.buildFrom(file, new FileDescriptor[0]).findMessageTypeByName("ModelInferRequest");
        } catch (Exception broken) {
            throw new IllegalStateException(broken);
        }
    }

    private static Object get(DynamicMessage message, String field) {
        return message.getField(message.getDescriptorForType().findFieldByName(field));
    }

    private static final Map<String, String> TYPED = Map.ofEntries(
        Map.entry("BOOL", "bool_contents"), Map.entry("INT8", "int_contents"), Map.entry("INT16", "int_contents"),
        Map.entry("INT32", "int_contents"), Map.entry("INT64", "int64_contents"),
        Map.entry("UINT8", "uint_contents"), Map.entry("UINT16", "uint_contents"),
        Map.entry("UINT32", "uint_contents"), Map.entry("UINT64", "uint64_contents"),
        Map.entry("FP32", "fp32_contents"), Map.entry("FP64", "fp64_contents"));

    private static double[] typed(DynamicMessage tensor, String datatype) throws Refused {
        String field = TYPED.get(datatype);
        if (field == null) {
            throw new Refused();
        }
        List<?> found = (List<?>) get((DynamicMessage) get(tensor, "contents"), field);
        double[] out = new double[found.size()];
        for (int i = 0; i < out.length; i++) {
            Object one = found.get(i);
            if (one instanceof Boolean truth) {
                out[i] = truth ? 1.0 : 0.0;
            } else if (field.equals("uint_contents")) {
                out[i] = Integer.toUnsignedLong((Integer) one);
            } else if (field.equals("uint64_contents")) {
                out[i] = unsigned((Long) one);
            } else {
                out[i] = ((Number) one).doubleValue();
            }
        }
        return out;
    }

    private static void protobuf(byte[] value, Map<String, View> views) throws Exception {
        DynamicMessage request = DynamicMessage.parseFrom(REQUEST, value);
        List<?> inputs = (List<?>) get(request, "inputs");
        List<?> raw = (List<?>) get(request, "raw_input_contents");
        List<String> names = new ArrayList<>();
        List<double[][]> found = new ArrayList<>();
        for (int i = 0; i < inputs.size(); i++) {
            DynamicMessage tensor = (DynamicMessage) inputs.get(i);
            String datatype = (String) get(tensor, "datatype");
            double[] numbers = i < raw.size()
                ? elements(datatype, ((ByteString) raw.get(i)).asReadOnlyByteBuffer())
                : typed(tensor, datatype);
            found.add(shaped(numbers, ((List<?>) get(tensor, "shape")).stream().mapToLong(x -> (Long) x).toArray()));
            names.add((String) get(tensor, "name"));
        }
        tensors(names, found, views, "");
    }

    // ---- frames -----------------------------------------------------------------------------------

    private static void text(String reader, Map<String, View> views, List<String> said) {
        views.forEach((name, view) -> {
            StringBuilder hex = new StringBuilder();
            try {
                double[][] rows = view.rows();
                for (double[] row : rows) {
                    if (row.length != rows[0].length || row.length == 0) {
                        throw new Refused();
                    }
                    for (double number : row) {
                        hex.append(String.format("%08x", Integer.reverseBytes(Float.floatToIntBits((float) number))));
                    }
                }
                said.add(reader + "." + name + "=" + rows.length + ":" + hex);
            } catch (Exception | StackOverflowError refused) {
                said.add(reader + "." + name + "=!");
            }
        });
    }

    private static String answer(char dialect, String length, byte[] value) {
        List<String> said = new ArrayList<>();
        Map<String, View> views = new LinkedHashMap<>();
        for (Map.Entry<String, ObjectMapper> each : MAPPERS.entrySet()) {
            ObjectMapper mapper = each.getValue();
            String way = each.getKey();
            try {
                switch (dialect) {
                    case 'j' -> plain(mapper, value, views, way);
                    case 'v' -> v1(mapper, value, views, way);
                    case 'o' -> v2(mapper, value, length, views, way);
                    case 'c' -> event(mapper, value, views, way);
                    case 'a' -> {
                        every(mapper, value, length, views, way);
                        event(mapper, value, views, way);
                    }
                    default -> { }
                }
            } catch (Exception | StackOverflowError refused) {
                said.add("jackson." + way + "=!");
            }
        }
        text("jackson", views, said);
        if (dialect == 'p' || dialect == 'a') {
            views.clear();
            try {
                protobuf(value, views);
            } catch (Exception | StackOverflowError refused) {
                said.add("protobuf-java=!");
            }
            text("protobuf-java", views, said);
        }
        return String.join("\t", said);
    }

    public static void main(String[] arguments) throws Exception {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 20));
        PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, "UTF-8");
        while (true) {
            byte[] frame;
            try {
                frame = new byte[Integer.reverseBytes(in.readInt())];
            } catch (EOFException end) {
                return;
            }
            in.readFully(frame);
            int end = 3 + (frame[1] & 0xff) + 256 * (frame[2] & 0xff);
            String length = null;
            for (String pair : new String(frame, 3, end - 3, StandardCharsets.ISO_8859_1).split("\u001e")) {
                String[] parts = pair.split("\u001f", 2);
                if (parts.length == 2 && parts[0].equalsIgnoreCase("inference-header-content-length")) {
                    length = parts[1];
                }
            }
            out.println(answer((char) frame[0], length, Arrays.copyOfRange(frame, end, frame.length)));
            if (in.available() == 0) {
                out.flush();
            }
        }
    }
}
