//! From bytes to a checked model.

use super::aligned::{IntoModelBytes, ModelBytes};
use super::bytes::{crc32, part, u8_at, u16_at, u32_at};
use super::check;
use super::format::{CHECKSUM_START, FORMAT_VERSION, HEADER_BYTES, MAGIC, PLAIN_VERSION, header};
use super::header::Model;
use crate::error::ModelError;

impl<'a> Model<'a> {
    /// Checks `bytes` and reads them in place.
    ///
    /// Time: one pass for the checksum, one at most for the weights' proofs, and for the memory plan one
    /// over the layers. Stack: about half a KB.
    ///
    /// # Errors
    /// Whatever is wrong first; see [`ModelError`].
    pub fn parse(bytes: impl IntoModelBytes<'a>) -> Result<Self, ModelError> {
        Self::read(bytes.into_model_bytes())
    }

    fn read(bytes: ModelBytes<'a>) -> Result<Self, ModelError> {
        let bytes = bytes.get();
        let found = [0, 1, 2, 3].map(|i| u8_at(bytes, i));
        if found != MAGIC {
            return Err(ModelError::NotAModel { found });
        }
        match u16_at(bytes, header::VERSION) {
            PLAIN_VERSION..=FORMAT_VERSION => {}
            found if found < PLAIN_VERSION => return Err(ModelError::UnknownFormat { found }),
            found => {
                return Err(ModelError::NewerFormat {
                    found,
                    newest: FORMAT_VERSION,
                });
            }
        }
        let needed = u32_at(bytes, header::FILE_LEN);
        if needed as usize != bytes.len() || bytes.len() < HEADER_BYTES {
            return Err(ModelError::WrongLength {
                needed,
                got: bytes.len() as u32,
            });
        }
        let (expected, found) = (
            u32_at(bytes, header::CHECKSUM),
            crc32(part(bytes, CHECKSUM_START, bytes.len() - CHECKSUM_START).unwrap_or(&[])),
        );
        if expected != found {
            return Err(ModelError::Damaged { expected, found });
        }
        let model = Self { bytes };
        check::check(&model)?;
        Ok(model)
    }
}
