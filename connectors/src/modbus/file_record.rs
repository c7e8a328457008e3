//! Read File Record (function 0x14; 1.1b3, 6.14): requests and answers, one group a request. Faces foreign bytes.
#![warn(clippy::indexing_slicing)]

use super::{Span, Table};

/// The function code.
pub(super) const FUNCTION: u8 = 0x14;
/// The only reference type there is.
const REFERENCE: u8 = 6;
/// Most registers in one answer: its data may be 0xF5 bytes long, two of which are the header of the group.
pub(super) const MOST_REGISTERS: u16 = 121;
/// Records of one file: 0 to 9999.
pub(super) const RECORDS: u32 = 10_000;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileSpan {
    /// Unit id.
    pub(super) unit: u8,
    /// Number of the file, from 1.
    pub(super) file: u16,
    /// First record, from 0; a record is one register.
    pub(super) record: u16,
    /// How many.
    pub(super) count: u16,
}

impl FileSpan {
    /// Where it is, for messages and for what is common to all answers.
    pub(super) fn place(self) -> Span {
        Span { unit: self.unit, table: Table::Holding, address: self.record, count: self.count }
    }

    /// What is asked for, in words.
    pub(super) fn in_words(self) -> String {
        format!("read {} registers from {} of file {}", self.count, self.record, self.file)
    }

    /// The request, behind its function code.
    pub(super) fn request(self) -> [u8; 8] {
        let [file_high, file_low] = self.file.to_be_bytes();
        let [record_high, record_low] = self.record.to_be_bytes();
        let [count_high, count_low] = self.count.to_be_bytes();
        [7, REFERENCE, file_high, file_low, record_high, record_low, count_high, count_low]
    }

    /// The registers in the answer, given without its function code.
    ///
    /// # Errors
    /// If it is no answer to this request, in words.
    pub(super) fn registers(self, answer: &[u8]) -> Result<Vec<u16>, String> {
        let [length, group_length, reference, data @ ..] = answer else {
            return Err(format!("it has {} bytes, too few for a file record", answer.len()));
        };
        let expected = 2 * usize::from(self.count);
        let is_whole = data.len() == expected
            && usize::from(*group_length) == expected + 1
            && usize::from(*length) == expected + 2;
        if !is_whole || *reference != REFERENCE {
            return Err(format!(
                "it has {} bytes of file record instead of {expected}",
                data.len()
            ));
        }
        let (pairs, _) = data.as_chunks::<2>();
        Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPAN: FileSpan = FileSpan { unit: 1, file: 4, record: 1, count: 2 };

    #[test]
    fn the_example_of_the_specification_is_read() {
        assert_eq!(SPAN.request(), [0x07, 0x06, 0x00, 0x04, 0x00, 0x01, 0x00, 0x02]);
        let answer = [0x06, 0x05, 0x06, 0x0d, 0xfe, 0x00, 0x20];
        assert_eq!(SPAN.registers(&answer), Ok(vec![0x0dfe, 0x0020]));
    }

    #[test]
    fn an_answer_that_does_not_fit_is_refused() {
        for answer in [
            &[][..],
            &[0x06, 0x05],
            &[0x06, 0x05, 0x06, 0x0d, 0xfe],
            &[0x06, 0x05, 0x06, 0x0d, 0xfe, 0x00, 0x20, 0x00],
            &[0x06, 0x05, 0x07, 0x0d, 0xfe, 0x00, 0x20],
            &[0x04, 0x05, 0x06, 0x0d, 0xfe, 0x00, 0x20],
        ] {
            assert!(SPAN.registers(answer).is_err(), "{answer:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_refused(answer: Vec<u8>, count in 0..=MOST_REGISTERS) {
            let registers = FileSpan { count, ..SPAN }.registers(&answer);
            prop_assert!(registers.is_err() || registers.is_ok_and(|it| it.len() == count.into()));
        }
    }
}
