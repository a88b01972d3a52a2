//! A schema of Protobuf, compiled together with the files that it imports.
//!
//! Google's own files are known, and Confluent's: serializers register neither. Other files must be references of the schema.
//! A file is source, or a descriptor in base64, which some serializers register and some registries keep.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::FileDescriptor;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::SchemaText;

/// The name of the schema itself among the files it imports.
const MAIN: &str = "tripline/schema.proto";

/// Confluent's files. The second name of the decimal is the older one.
const CONFLUENT: [(&str, &str); 4] = [
    ("confluent/meta.proto", include_str!("proto/meta.proto")),
    ("confluent/type/decimal.proto", include_str!("proto/decimal.proto")),
    (
        "confluent/types/decimal.proto",
        "syntax = \"proto3\"; import public \"confluent/type/decimal.proto\";",
    ),
    ("confluent/type/variant.proto", include_str!("proto/variant.proto")),
];

/// The file of `schema`, with the pool of all files that it imports.
///
/// # Errors
/// If it is no schema, or imports a file that nobody has: in words.
pub fn compile_protobuf(schema: &SchemaText) -> Result<FileDescriptor, String> {
    let references = schema.references.iter().cloned();
    let own = references.chain([(MAIN.to_owned(), schema.text.clone())]).collect();
    let known = CONFLUENT.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let mut resolver = ChainFileResolver::new();
    // What the schema brings wins over what everybody knows: its writer read that.
    resolver.add(Files(own));
    resolver.add(Files(known.into()));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler
        .include_source_info(false)
        .open_file(MAIN)
        .map_err(|error: protox::Error| error.to_string())?;
    Ok(compiler.descriptor_pool().get_file_by_name(MAIN).expect("it was compiled"))
}

/// Files by their names.
struct Files(HashMap<String, String>);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name).ok_or_else(|| protox::Error::file_not_found(name))?;
        // The last name counts. Decoded and encoded again, options that nobody knows yet would be lost.
        let named = |mut bytes: Vec<u8>| {
            prost::encoding::string::encode(1, &name.to_owned(), &mut bytes);
            File::decode_file_descriptor_proto(&*bytes).ok()
        };
        let descriptor = STANDARD.decode(text.trim()).ok().filter(|bytes| !bytes.is_empty());
        match descriptor.and_then(named) {
            Some(file) => Ok(file),
            None => File::from_source(name, text),
        }
    }
}
