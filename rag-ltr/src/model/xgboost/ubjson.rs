//! Universal Binary JSON, as much of it as XGBoost writes: a reader for serde, so that one set of types reads both forms of
//! a model file. Counts are checked against what is left of the input before anything is made of them.

use std::fmt::Display;

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::{Error, Result};

/// Most objects and arrays within one another. Model files have seven.
const MAX_DEPTH: usize = 32;

/// Reads one value that takes up the whole input.
pub(super) fn from_bytes<'de, T: Deserialize<'de>>(input: &'de [u8]) -> Result<T> {
    let mut reader = Reader { rest: input, depth: 0 };
    let value = T::deserialize(Value { marker: None, reader: &mut reader }).and_then(|value| match reader.rest.len() {
        0 => Ok(value),
        left => Err(Problem(format!("the model ends here, {left} bytes before the file does"))),
    });
    value.map_err(|Problem(problem)| Error::model(format!("byte {}", input.len() - reader.rest.len()), problem))
}

/// What is wrong where the reader stands.
#[derive(Debug)]
struct Problem(String);

impl Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl serde::de::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Problem(message.to_string())
    }
}

struct Reader<'de> {
    rest: &'de [u8],
    depth: usize,
}

impl<'de> Reader<'de> {
    fn take(&mut self, length: usize) -> Result<&'de [u8], Problem> {
        let left = self.rest.len();
        let parts = self.rest.split_at_checked(length);
        let (taken, rest) = parts.ok_or_else(|| Problem(format!("{length} bytes should follow, {left} do")))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        Ok(self.array::<1>()?[0])
    }

    fn next_is(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// The integer after this marker.
    fn integer(&mut self, marker: u8) -> Result<i64, Problem> {
        Ok(match marker {
            b'i' => i8::from_be_bytes(self.array()?).into(),
            b'U' => self.byte()?.into(),
            b'I' => i16::from_be_bytes(self.array()?).into(),
            b'l' => i32::from_be_bytes(self.array()?).into(),
            b'L' => i64::from_be_bytes(self.array()?),
            _ => return Err(Problem(format!("marker `{}` is none of an integer", marker.escape_ascii()))),
        })
    }

    /// A number of things of at least `size` bytes each, which must be there.
    fn count(&mut self, size: usize) -> Result<usize, Problem> {
        let marker = self.byte()?;
        let count = self.integer(marker)?;
        let fits = usize::try_from(count).ok().filter(|count| *count <= self.rest.len() / size);
        fits.ok_or_else(|| Problem(format!("a count of {count} does not fit the {} bytes left", self.rest.len())))
    }

    fn text(&mut self) -> Result<&'de str, Problem> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Problem("a text is not UTF-8".to_owned()))
    }

    fn enter(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem(format!("more than {MAX_DEPTH} objects and arrays within one another")));
        }
        Ok(())
    }
}

/// One value; `marker` is what the array around it says that it is.
struct Value<'reader, 'de> {
    marker: Option<u8>,
    reader: &'reader mut Reader<'de>,
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let Value { marker, reader } = self;
        let marker = match marker {
            Some(marker) => marker,
            None => reader.byte()?,
        };
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(reader.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(reader.array()?)),
            b'S' => visitor.visit_borrowed_str(reader.text()?),
            b'[' => {
                reader.enter()?;
                let mut items = Items::start(reader)?;
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                reader.depth -= 1;
                Ok(value)
            }
            b'{' => {
                reader.enter()?;
                let value = visitor.visit_map(Entries { reader })?;
                reader.depth -= 1;
                Ok(value)
            }
            _ => visitor.visit_i64(reader.integer(marker)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.marker.is_none() && self.reader.next_is(b'Z') {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The items of an array: counted, or up to a `]`.
struct Items<'reader, 'de> {
    reader: &'reader mut Reader<'de>,
    marker: Option<u8>,
    left: Option<usize>,
}

impl<'reader, 'de> Items<'reader, 'de> {
    fn start(reader: &'reader mut Reader<'de>) -> Result<Self, Problem> {
        let marker = if reader.next_is(b'$') { Some(reader.byte()?) } else { None };
        let size = match marker {
            None | Some(b'i' | b'U') => 1,
            Some(b'I') => 2,
            Some(b'l' | b'd') => 4,
            Some(b'L' | b'D') => 8,
            Some(other) => return Err(Problem(format!("an array is made of `{}`", other.escape_ascii()))),
        };
        let left = if reader.next_is(b'#') { Some(reader.count(size)?) } else { None };
        if marker.is_some() && left.is_none() {
            return Err(Problem("an array has a type and no count".to_owned()));
        }
        Ok(Items { reader, marker, left })
    }

    /// Whether another item follows.
    fn has_next(&mut self) -> bool {
        match &mut self.left {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None if self.reader.next_is(b']') => {
                self.left = Some(0);
                false
            }
            None => true,
        }
    }

    fn end(mut self) -> Result<(), Problem> {
        if self.has_next() {
            return Err(Problem("an array has more items than it should".to_owned()));
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        if !self.has_next() {
            return Ok(None);
        }
        seed.deserialize(Value { marker: self.marker, reader: self.reader }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

/// The entries of an object, up to its `}`.
struct Entries<'reader, 'de> {
    reader: &'reader mut Reader<'de>,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        if self.reader.next_is(b'}') {
            return Ok(None);
        }
        let key = self.reader.text()?;
        seed.deserialize(BorrowedStrDeserializer::<Problem>::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        seed.deserialize(Value { marker: None, reader: self.reader })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Mixed {
        flags: Vec<bool>,
        floats: Vec<f32>,
        integers: Vec<i64>,
        text: String,
        #[serde(default)]
        absent: Option<f64>,
        pair: (u8, i16),
    }

    fn mixed() -> Vec<u8> {
        let mut bytes = b"{L\0\0\0\0\0\0\0\x05flags[TF]".to_vec();
        bytes.extend(b"i\x06floats[$d#i\x02");
        bytes.extend([1.5f32, f32::NEG_INFINITY].iter().flat_map(|value| value.to_be_bytes()));
        bytes.extend(b"U\x08integers[#I\0\x05i\xffU\xffI\x80\0l\x80\0\0\0L\x80\0\0\0\0\0\0\0");
        bytes.extend(b"i\x04textSi\x03a\xc3\xa4i\x06absentZi\x07unknown{i\x01a[[[[]]]]}i\x04pair[$U#i\x02\x07\x08}");
        bytes
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let expected = Mixed {
            flags: vec![true, false],
            floats: vec![1.5, f32::NEG_INFINITY],
            integers: vec![-1, 255, i64::from(i16::MIN), i64::from(i32::MIN), i64::MIN],
            text: "aä".to_owned(),
            absent: None,
            pair: (7, 8),
        };
        assert_eq!(from_bytes::<Mixed>(&mixed()).unwrap(), expected);
    }

    #[test]
    fn every_cut_and_every_byte_too_many_is_refused() {
        let bytes = mixed();
        for length in 0..bytes.len() {
            assert!(from_bytes::<Mixed>(&bytes[..length]).is_err(), "{length}");
        }
        let error = from_bytes::<Mixed>(&[&bytes[..], b"  "].concat()).unwrap_err();
        assert!(error.to_string().contains("2 bytes before the file does"), "{error}");
    }

    #[test]
    fn counts_are_checked_before_anything_is_made_of_them() {
        for claim in [
            &b"[$L#L\x0f\xff\xff\xff\xff\xff\xff\xff\0\0"[..],
            b"[#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[$d#l\xff\xff\xff\xff\0\0\0\0",
        ] {
            let error = from_bytes::<Vec<f64>>(claim).unwrap_err().to_string();
            assert!(error.contains("does not fit the"), "{error}");
        }
        let error = from_bytes::<String>(b"Sl\x7f\xff\xff\xff").unwrap_err().to_string();
        assert!(error.contains("a count of 2147483647 does not fit the 0 bytes left"), "{error}");
    }

    #[test]
    fn arrays_of_nothing_and_endless_nesting_are_refused() {
        for made_of in [b'Z', b'T', b'[', b'{', b'S'] {
            let bytes = [b"[$", &[made_of][..], b"#l\x7f\xff\xff\xff"].concat();
            assert!(from_bytes::<serde::de::IgnoredAny>(&bytes).unwrap_err().to_string().contains("made of"));
        }
        let error = from_bytes::<serde::de::IgnoredAny>(&vec![b'['; 1 << 20]).unwrap_err().to_string();
        assert!(error.contains("within one another"), "{error}");
        let tall = [[b'['; MAX_DEPTH], [b']'; MAX_DEPTH]].concat();
        assert!(from_bytes::<serde::de::IgnoredAny>(&tall).is_ok());
    }

    #[test]
    fn an_array_that_is_longer_than_its_type_is_refused() {
        let error = from_bytes::<(u8, u8)>(b"[$U#i\x03abc").unwrap_err().to_string();
        assert!(error.contains("more items than it should"), "{error}");
    }
}
