// Go's reader: encoding/json, into the structs that a Go server would declare. Frames and lines are
// those of read.py.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// Row is one instance by name. Go takes a member whose name differs in case only.
type Row struct {
	X0 float64 `json:"x0"`
	X1 float64 `json:"x1"`
	X2 float64 `json:"x2"`
	X3 float64 `json:"x3"`
	X4 float64 `json:"x4"`
	X5 float64 `json:"x5"`
	X6 float64 `json:"x6"`
	X7 float64 `json:"x7"`
	X8 float64 `json:"x8"`
}

func (r Row) cells() []float64 {
	return []float64{r.X0, r.X1, r.X2, r.X3, r.X4, r.X5, r.X6, r.X7, r.X8}
}

// Columns is V1's `inputs` by columns.
type Columns struct {
	X0 []float64 `json:"x0"`
	X1 []float64 `json:"x1"`
	X2 []float64 `json:"x2"`
	X3 []float64 `json:"x3"`
	X4 []float64 `json:"x4"`
	X5 []float64 `json:"x5"`
	X6 []float64 `json:"x6"`
	X7 []float64 `json:"x7"`
	X8 []float64 `json:"x8"`
}

// Tensor is one input of V2.
type Tensor struct {
	Name       string          `json:"name"`
	Shape      []int           `json:"shape"`
	Datatype   string          `json:"datatype"`
	Data       json.RawMessage `json:"data"`
	Parameters struct {
		Size *int `json:"binary_data_size"`
	} `json:"parameters"`
}

var refused = errors.New("refused")

// view is one way of reading: rows, and how many they are.
type view struct {
	name string
	rows [][]float64
	err  error
}

// decode reads one document: all of the value, or the first one of a stream.
func decode(value []byte, stream bool, into any) error {
	if stream {
		return json.NewDecoder(bytes.NewReader(value)).Decode(into)
	}
	return json.Unmarshal(value, into)
}

func isArray(raw []byte) bool {
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '['
}

func element(raw []byte) byte {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return 0
	}
	return bytes.TrimLeft(list[0], " \t\r\n")[0]
}

// instances reads a list of rows: objects, or arrays as long as a row.
func instances(raw []byte, stream bool) (views []view) {
	add := func(name string, rows [][]float64, err error) { views = append(views, view{name, rows, err}) }
	switch element(raw) {
	case '{':
		var list []Row
		err := decode(raw, stream, &list)
		var rows [][]float64
		for _, one := range list {
			rows = append(rows, one.cells())
		}
		add("objects", rows, err)
	case '[':
		// An array of Go's takes what fits: more is dropped, less is zero.
		var fixed [][9]float64
		err := decode(raw, stream, &fixed)
		var rows [][]float64
		for i := range fixed {
			rows = append(rows, fixed[i][:])
		}
		add("fixed", rows, err)
		var free [][]float64
		err = decode(raw, stream, &free)
		add("free", free, err)
	default:
		var one []float64
		err := decode(raw, stream, &one)
		add("flat", [][]float64{one}, err)
	}
	return views
}

func named(value []byte, stream bool) []view {
	if isArray(value) {
		return instances(value, stream)
	}
	var one Row
	err := decode(value, stream, &one)
	views := []view{{"struct", [][]float64{one.cells()}, err}}
	var all map[string]any
	if err = decode(value, stream, &all); err == nil {
		var row []float64
		for i := 0; i < 9; i++ {
			number, is := all["x"+strconv.Itoa(i)].(float64)
			if !is {
				err = refused
			}
			row = append(row, number)
		}
		views = append(views, view{"map", [][]float64{row}, err})
	}
	return views
}

func v1(value []byte, stream bool) []view {
	var body struct {
		Instances json.RawMessage `json:"instances"`
		Inputs    json.RawMessage `json:"inputs"`
	}
	if err := decode(value, stream, &body); err != nil {
		return []view{{"v1", nil, err}}
	}
	var views []view
	if body.Instances != nil {
		views = append(views, instances(body.Instances, false)...)
	}
	if body.Inputs != nil && isArray(body.Inputs) {
		views = append(views, instances(body.Inputs, false)...)
	} else if body.Inputs != nil {
		var c Columns
		err := json.Unmarshal(body.Inputs, &c)
		rows := [][]float64{}
		columns := [][]float64{c.X0, c.X1, c.X2, c.X3, c.X4, c.X5, c.X6, c.X7, c.X8}
		for i := range c.X0 {
			var row []float64
			for _, column := range columns {
				if len(column) != len(c.X0) {
					err = refused
					break
				}
				row = append(row, column[i])
			}
			rows = append(rows, row)
		}
		views = append(views, view{"columns", rows, err})
	}
	return views
}

// numbers are those of nested arrays, in order.
func numbers(raw []byte) ([]float64, error) {
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	var out []float64
	var walk func(any) error
	walk = func(one any) error {
		switch value := one.(type) {
		case float64:
			out = append(out, value)
		case bool:
			number := 0.0
			if value {
				number = 1
			}
			out = append(out, number)
		case []any:
			for _, each := range value {
				if err := walk(each); err != nil {
					return err
				}
			}
		default:
			return refused
		}
		return nil
	}
	return out, walk(tree)
}

// elements are those of a binary tensor.
func elements(datatype string, raw []byte) ([]float64, error) {
	sizes := map[string]int{"BOOL": 1, "INT8": 1, "UINT8": 1, "INT16": 2, "UINT16": 2, "INT32": 4,
		"UINT32": 4, "FP32": 4, "INT64": 8, "UINT64": 8, "FP64": 8}
	size := sizes[datatype]
	if size == 0 || len(raw)%size != 0 {
		return nil, refused
	}
	var out []float64
	for ; len(raw) > 0; raw = raw[size:] {
		var wide [8]byte
		copy(wide[:], raw[:size])
		bits := binary.LittleEndian.Uint64(wide[:])
		number := float64(bits)
		switch datatype {
		case "INT8":
			number = float64(int8(bits))
		case "INT16":
			number = float64(int16(bits))
		case "INT32":
			number = float64(int32(bits))
		case "INT64":
			number = float64(int64(bits))
		case "FP32":
			number = float64(math.Float32frombits(uint32(bits)))
		case "FP64":
			number = math.Float64frombits(bits)
		}
		out = append(out, number)
	}
	return out, nil
}

// shaped cuts numbers into rows. A vector is one row.
func shaped(numbers []float64, shape []int) ([][]float64, error) {
	product := 1
	for _, length := range shape {
		if length < 0 || product > 1<<30 {
			return nil, refused
		}
		product *= length
	}
	if product != len(numbers) || product == 0 {
		return nil, refused
	}
	n := 1
	if len(shape) > 1 {
		n = shape[0]
	}
	var rows [][]float64
	for i := 0; i < n; i++ {
		rows = append(rows, numbers[i*product/n:(i+1)*product/n])
	}
	return rows, nil
}

// column is a tensor of one number per row.
func column(rows [][]float64) []float64 {
	var out []float64
	for _, row := range rows {
		out = append(out, row...)
	}
	return out
}

func merged(columns [][]float64) ([][]float64, error) {
	rows := make([][]float64, len(columns[0]))
	for _, one := range columns {
		if len(one) != len(rows) {
			return nil, refused
		}
		for i := range rows {
			rows[i] = append(rows[i], one[i])
		}
	}
	return rows, nil
}

func v2(value []byte, stream bool, length string) []view {
	head := value
	if length != "" {
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > len(value) {
			return []view{{"v2", nil, refused}}
		}
		head = value[:n]
	}
	var body struct {
		Inputs []Tensor `json:"inputs"`
	}
	if err := decode(head, stream, &body); err != nil || len(body.Inputs) == 0 {
		return []view{{"v2", nil, refused}}
	}
	at := len(head)
	var all [][][]float64
	var failed error
	byName := map[string][]float64{}
	for _, tensor := range body.Inputs {
		var flat []float64
		var err error
		if size := tensor.Parameters.Size; tensor.Data == nil && size != nil {
			if *size < 0 || *size > len(value)-at {
				return []view{{"v2", nil, refused}}
			}
			flat, err = elements(tensor.Datatype, value[at:at+*size])
			at += *size
		} else {
			flat, err = numbers(tensor.Data)
		}
		var rows [][]float64
		if err == nil {
			rows, err = shaped(flat, tensor.Shape)
		}
		if err != nil {
			failed = err
		}
		all = append(all, rows)
		byName[tensor.Name] = column(rows)
	}
	if len(all) == 1 {
		return []view{{"first", all[0], failed}}
	}
	views := []view{{"head", all[0], failed}}
	if failed == nil {
		var order, names [][]float64
		for _, rows := range all {
			order = append(order, column(rows))
		}
		for i := 0; i < 9; i++ {
			names = append(names, byName["x"+strconv.Itoa(i)])
		}
		rows, err := merged(order)
		views = append(views, view{"order", rows, err})
		rows, err = merged(names)
		views = append(views, view{"names", rows, err})
	}
	return views
}

func event(value []byte, stream bool) []view {
	var envelope struct {
		Data   json.RawMessage `json:"data"`
		Base64 *string         `json:"data_base64"`
	}
	if err := decode(value, stream, &envelope); err != nil {
		return []view{{"event", nil, err}}
	}
	var views []view
	if envelope.Data != nil {
		views = append(views, every(envelope.Data, stream, "")...)
	}
	if envelope.Base64 != nil {
		if data, err := base64.StdEncoding.DecodeString(*envelope.Base64); err == nil {
			views = append(views, every(data, stream, "")...)
		}
	}
	return views
}

// every tries all dialects; a struct of another dialect is all zero, which is no reading.
func every(value []byte, stream bool, length string) []view {
	var views []view
	for _, one := range append(append(named(value, stream), v1(value, stream)...), v2(value, stream, length)...) {
		zero := one.err == nil
		for _, number := range column(one.rows) {
			zero = zero && number == 0
		}
		if one.err == nil && !zero {
			views = append(views, one)
		}
	}
	return views
}

func read(dialect byte, value []byte, length string, stream bool) []view {
	switch dialect {
	case 'j':
		return named(value, stream)
	case 'v':
		return v1(value, stream)
	case 'o':
		return v2(value, stream, length)
	case 'c':
		return event(value, stream)
	case 'a':
		var views []view
		for _, one := range append(every(value, stream, length), event(value, stream)...) {
			if one.err == nil {
				views = append(views, one)
			}
		}
		return views
	}
	return nil
}

// text is a view's rows as read.py writes them. Rows of unlike lengths are no rows of a model.
func (v view) text(way string) string {
	name := "go." + way + v.name + "="
	if v.err != nil || len(v.rows) == 0 {
		return name + "!"
	}
	var raw []byte
	for _, row := range v.rows {
		if len(row) != len(v.rows[0]) {
			return name + "!"
		}
		for _, number := range row {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(number)))
		}
	}
	return fmt.Sprintf("%s%d:%s", name, len(v.rows), hex.EncodeToString(raw))
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	var size [4]byte
	for {
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.LittleEndian.Uint32(size[:]))
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		end := 3 + int(binary.LittleEndian.Uint16(frame[1:3]))
		length := ""
		for _, pair := range strings.Split(string(frame[3:end]), "\x1e") {
			if name, text, found := strings.Cut(pair, "\x1f"); found && strings.EqualFold(name, "inference-header-content-length") {
				length = text
			}
		}
		var said []string
		for _, one := range read(frame[0], frame[end:], length, false) {
			said = append(said, one.text(""))
		}
		for _, one := range read(frame[0], frame[end:], length, true) {
			said = append(said, one.text("stream-"))
		}
		fmt.Fprintln(out, strings.Join(said, "\t"))
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}
