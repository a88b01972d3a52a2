//! `oip-protobuf`: `ModelInferRequest`.

use super::Book;
use crate::record::{Row, f32s, field, floats, head, key, number, request, varint, varints};

const ONE: &[i64] = &[1, 9];

fn whole(row: &Row) -> Vec<u8> {
    floats("input-0", ONE, row)
}

fn named(row: &Row) -> Vec<Vec<u8>> {
    row.iter().enumerate().map(|(i, &x)| floats(&format!("x{i}"), &[1, 1], &[x])).collect()
}

fn raw(name: &str) -> Vec<u8> {
    head(name, "FP32", ONE)
}

/// A tensor with these bytes in `contents`.
fn contents(datatype: &str, body: &[u8]) -> Vec<u8> {
    [head("input-0", datatype, ONE), field(5, body)].concat()
}

fn packed(row: &Row) -> Vec<u8> {
    field(6, &f32s(row))
}

fn unpacked(row: &[i64]) -> Vec<u8> {
    let one = |&x: &i64| [key(6, 5), (x as f32).to_le_bytes().to_vec()].concat();
    row.iter().map(one).collect::<Vec<_>>().concat()
}

fn doubles(row: &Row) -> Vec<u8> {
    field(7, &row.iter().flat_map(|&x| (x as f64).to_le_bytes()).collect::<Vec<_>>())
}

/// A parameter of a request (field 4) or a tensor (field 4 too): `key`, `string_param`.
fn parameter(name: &str, text: &str) -> Vec<u8> {
    field(4, &[field(1, name.as_bytes()), field(2, &field(3, text.as_bytes()))].concat())
}

pub fn tricks() -> Book {
    let mut book = Book::new("oip-protobuf");
    book.one("control", |row| request(&[whole(row)], &[]));
    book.one("control: raw", |row| request(&[raw("input-0")], &field(7, &f32s(row))));
    book.one("control: a tensor per feature", |row| request(&named(row), &[]));
    book.two("two rows", |a, b| {
        let all: Vec<i64> = a.iter().chain(b).copied().collect();
        request(&[floats("input-0", &[2, 9], &all)], &[])
    });
    tensors(&mut book);
    messages(&mut book);
    datatypes(&mut book);
    shapes(&mut book);
    wire(&mut book);
    book
}

fn tensors(book: &mut Book) {
    book.two("another tensor behind", |a, b| request(&[whole(a), floats("input-1", ONE, b)], &[]));
    book.two("another tensor before those of the features", |a, b| {
        request(&[vec![whole(b)], named(a)].concat(), &[])
    });
    book.two("another tensor behind those of the features", |a, b| {
        request(&[named(a), vec![whole(b)]].concat(), &[])
    });
    book.two("two tensors of one name", |a, b| request(&[whole(a), whole(b)], &[]));
    book.two("every feature's tensor twice", |a, b| request(&[named(a), named(b)].concat(), &[]));
    book.one("the features' tensors in another order", |row| {
        request(&named(row).into_iter().rev().collect::<Vec<_>>(), &[])
    });
    book.one("the features' tensors under each other's names", |row| {
        let one = |i: usize| floats(&format!("x{}", 8 - i), &[1, 1], &[row[i]]);
        request(&(0..9).map(one).collect::<Vec<_>>(), &[])
    });
    book.two("a tensor per feature of nine rows, the first one's elements a row", |a, b| {
        let mut tensors = vec![floats("x0", &[9], b)];
        tensors.extend((1..9).map(|i| floats(&format!("x{i}"), &[9], &[a[i]; 9])));
        request(&tensors, &[])
    });
    book.two("raw for each of two tensors", |a, b| {
        request(
            &[raw("input-0"), raw("input-1")],
            &[field(7, &f32s(a)), field(7, &f32s(b))].concat(),
        )
    });
    book.two("raw for one of two tensors", |a, b| {
        request(&[whole(a), raw("input-1")], &field(7, &f32s(b)))
    });
    book.two("raw beside typed", |a, b| request(&[whole(a)], &field(7, &f32s(b))));
    book.two("raw that is empty beside typed", |a, _| request(&[whole(a)], &field(7, &[])));
    book.two("raw more than tensors", |a, b| {
        request(&[raw("input-0")], &[field(7, &f32s(a)), field(7, &f32s(b))].concat())
    });
    book.two("raw before the tensors", |a, _| {
        [field(1, b"m"), field(7, &f32s(a)), field(5, &raw("input-0"))].concat()
    });
    book.two("raw longer than the shape", |a, b| {
        request(&[raw("input-0")], &field(7, &[f32s(a), f32s(b)].concat()))
    });
}

fn messages(book: &mut Book) {
    let twice = |tag: u32, text: &'static str| {
        move |row: &Row| request(&[[whole(row), field(tag, text.as_bytes())].concat()], &[])
    };
    book.one("a tensor's name twice", twice(1, "x0"));
    book.one("a tensor's datatype twice", twice(2, "FP64"));
    book.one("a tensor's datatype twice, the same", twice(2, "FP32"));
    book.one("a tensor's shape in two parts", |row| {
        let parts =
            [field(1, b"input-0"), field(2, b"FP32"), number(3, 1), field(3, &[9])].concat();
        request(&[[parts, field(5, &packed(row))].concat()], &[])
    });
    book.one("a tensor's shape twice", |row| {
        request(&[[whole(row), field(3, &varints(ONE))].concat()], &[])
    });
    book.two("`contents` twice", |a, b| {
        let two = [field(5, &packed(a)), field(5, &packed(b))].concat();
        request(&[[head("input-0", "FP32", ONE), two].concat()], &[])
    });
    book.one("`contents` in two messages that merge", |row| {
        let two = [field(5, &unpacked(&row[..4])), field(5, &unpacked(&row[4..]))].concat();
        request(&[[head("input-0", "FP32", ONE), two].concat()], &[])
    });
    book.one("`contents` before the head", |row| {
        request(&[[field(5, &packed(row)), head("input-0", "FP32", ONE)].concat()], &[])
    });
    book.one("elements unpacked", |row| request(&[contents("FP32", &unpacked(row))], &[]));
    book.one("elements packed and unpacked", |row| {
        let first: Vec<u8> = row[..4].iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
        request(&[contents("FP32", &[field(6, &first), unpacked(&row[4..])].concat())], &[])
    });
    book.two("elements of another type beside", |a, b| {
        request(&[contents("FP32", &[packed(a), doubles(b)].concat())], &[])
    });
    book.two("integers beside floats", |a, b| {
        request(&[contents("FP32", &[packed(a), field(2, &varints(b))].concat())], &[])
    });
    book.two("elements of another type only", |_, b| {
        request(&[contents("FP32", &doubles(b))], &[])
    });
    book.one("a parameter of the request: `content_type` `pd`", |row| {
        request(&[whole(row)], &parameter("content_type", "pd"))
    });
    book.one("`content_type` `pd`, a tensor per feature, in another order", |row| {
        request(&named(row).into_iter().rev().collect::<Vec<_>>(), &parameter("content_type", "pd"))
    });
    book.two("`content_type` `pd`, raw beside typed", |a, b| {
        request(
            &named(a),
            &[
                parameter("content_type", "pd"),
                b.iter().flat_map(|&x| field(7, &(x as f32).to_le_bytes())).collect(),
            ]
            .concat(),
        )
    });
    book.one("shared memory beside the elements", |row| {
        request(&[[whole(row), parameter("shared_memory_region", "r")].concat()], &[])
    });
    book.one("the request's name twice", |row| {
        [field(1, b"n"), request(&[whole(row)], &[])].concat()
    });
    book.one("a name that is not UTF-8", |row| {
        request(&[[field(1, b"x0\xff"), whole(row)].concat()], &[])
    });
    book.one("a model's name that is not UTF-8", |row| {
        [field(1, b"\xff"), field(5, &whole(row))].concat()
    });
}

fn datatypes(book: &mut Book) {
    let ints = |datatype: &'static str, tag: u32, add: i64| {
        move |row: &Row| {
            request(&[contents(datatype, &field(tag, &varints(&row.map(|x| x + add))))], &[])
        }
    };
    for datatype in ["INT8", "INT16", "INT32"] {
        book.one(&format!("integers as {datatype}"), ints(datatype, 2, 0));
    }
    book.one("integers as INT64", ints("INT64", 3, 0));
    book.one("INT8 that is 256 more", ints("INT8", 2, 256));
    book.one("INT16 that is 65,536 more", ints("INT16", 2, 1 << 16));
    book.one("INT32 that is 2^32 more", ints("INT32", 2, 1 << 32));
    book.one("UINT8, some of it negative", ints("UINT8", 4, 0));
    book.one("UINT8 that is 256 more", ints("UINT8", 4, 256));
    book.one("UINT32, some of it negative", ints("UINT32", 4, 0));
    book.one("UINT64, some of it negative", ints("UINT64", 5, 0));
    book.one("BOOL that is numbers", ints("BOOL", 1, 0));
    book.one("INT32 in the field of INT64", ints("INT32", 3, 0));
    book.one("INT64 in the field of INT32", ints("INT64", 2, 0));
    book.one("doubles as FP64", |row| request(&[contents("FP64", &doubles(row))], &[]));
    book.one("floats as FP16", |row| request(&[contents("FP16", &packed(row))], &[]));
    for datatype in ["fp32", "FP32 ", "BF16", "", "FP8"] {
        book.one(&format!("datatype `{datatype}`"), |row| {
            request(&[contents(datatype, &packed(row))], &[])
        });
    }
    let raws = |datatype: &'static str, write: fn(i64) -> Vec<u8>| {
        move |row: &Row| {
            let body: Vec<u8> = row.iter().flat_map(|&x| write(x)).collect();
            request(&[head("input-0", datatype, ONE)], &field(7, &body))
        }
    };
    book.one("raw INT8", raws("INT8", |x| vec![x as u8]));
    book.one("raw INT64", raws("INT64", |x| x.to_le_bytes().to_vec()));
    book.one("raw FP16", raws("FP16", |x| half::f16::from_f64(x as f64).to_le_bytes().to_vec()));
    book.one("raw BF16", raws("BF16", |x| half::bf16::from_f64(x as f64).to_le_bytes().to_vec()));
    book.one("raw BOOL", raws("BOOL", |x| vec![x as u8]));
    book.one("raw, floats big-endian", raws("FP32", |x| (x as f32).to_be_bytes().to_vec()));
    book.one("raw FP32 that says FP64", raws("FP64", |x| (x as f32).to_le_bytes().to_vec()));
}

fn shapes(book: &mut Book) {
    for shape in [
        &[9][..],
        &[9, 1],
        &[3, 3],
        &[1, 3, 3],
        &[1, 9, 1],
        &[9, 1, 1],
        &[-1, 9],
        &[1, -1],
        &[-1, -9],
        &[0],
        &[],
        &[1],
        &[2, 9],
        &[1, 10],
    ] {
        book.one(&format!("shape {shape:?}"), |row| request(&[floats("input-0", shape, row)], &[]));
        book.one(&format!("raw, shape {shape:?}"), |row| {
            request(&[head("input-0", "FP32", shape)], &field(7, &f32s(row)))
        });
    }
}

fn wire(book: &mut Book) {
    book.two("an unknown field around another request", |a, b| {
        request(&[whole(a)], &field(99, &request(&[whole(b)], &[])))
    });
    book.two("a group around another tensor", |a, b| {
        let group = [key(9, 3), field(5, &whole(b)), key(9, 4)].concat();
        request(&[whole(a)], &group)
    });
    book.two("a group in the place of a tensor", |a, b| {
        let group = [key(5, 3), whole(b), key(5, 4)].concat();
        [field(1, b"m"), group, field(5, &whole(a))].concat()
    });
    book.one("a group that does not end", |row| request(&[whole(row)], &key(9, 3)));
    book.one("an end of no group", |row| request(&[whole(row)], &key(9, 4)));
    book.one("a varint in the place of a tensor", |row| request(&[whole(row)], &number(5, 7)));
    book.one("a varint in the place of `contents`", |row| {
        request(&[[whole(row), number(5, 7)].concat()], &[])
    });
    book.one("a varint in the place of a name", |row| {
        request(&[[whole(row), number(1, 7)].concat()], &[])
    });
    book.one("a fixed number in the place of a shape", |row| {
        request(&[[whole(row), key(3, 5), vec![9, 0, 0, 0]].concat()], &[])
    });
    book.one("elements in a varint", |row| {
        request(&[contents("FP32", &[packed(row), number(6, 7)].concat())], &[])
    });
    book.one("packed elements with a byte too many", |row| {
        request(&[contents("FP32", &field(6, &[f32s(row), vec![0]].concat()))], &[])
    });
    book.one("a field of number 0", |row| request(&[whole(row)], &[0, 0]));
    book.one("a byte behind", |row| request(&[whole(row)], &[5]));
    book.one("a length beyond the end", |row| {
        let mut bytes = request(&[whole(row)], &[]);
        bytes.pop();
        bytes
    });
    book.one("a length in more bytes than it needs", |row| {
        let body = whole(row);
        let length = body.len() as u8;
        [field(1, b"m"), key(5, 2), vec![length | 0x80, 0x80, 0x80, 0], body].concat()
    });
    book.one("a key in more bytes than it needs", |row| {
        let body = whole(row);
        let mut length = vec![];
        varint(body.len() as u64, &mut length);
        [field(1, b"m"), vec![0xaa, 0x80, 0x00], length, body].concat()
    });
    book.two("a key beyond 32 bits that ends like a tensor's", |a, b| {
        let mut long = vec![];
        varint((1 << 32) | u64::from(5_u32 << 3 | 2), &mut long);
        let body = whole(b);
        varint(body.len() as u64, &mut long);
        request(&[whole(a)], &[long, body].concat())
    });
    book.two("two requests, one behind the other", |a, b| {
        [request(&[whole(a)], &[]), request(&[whole(b)], &[])].concat()
    });
    book.one("the message in a gRPC frame", |row| {
        let body = request(&[whole(row)], &[]);
        [vec![0], (body.len() as u32).to_be_bytes().to_vec(), body].concat()
    });
}
