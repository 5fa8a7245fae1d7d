//! From the vectors of tokens to the vector of a text.

use rag_governance::Pooling;

/// One vector from the outputs of a text's tokens (`tokens × dimension`, row-major), not scaled.
/// The first `skip` tokens take no part in a mean. No token gives zeros.
pub(crate) fn pool(outputs: &[f32], dimension: usize, pooling: Pooling, skip: usize) -> Vec<f32> {
    let mut rows = outputs.chunks_exact(dimension);
    let one = match pooling {
        Pooling::Cls => rows.next(),
        Pooling::LastToken => rows.next_back(),
        _ => {
            let skip = if skip < rows.len() { skip } else { 0 };
            return mean(rows.skip(skip), dimension);
        }
    };
    one.map_or_else(|| vec![0.0; dimension], <[f32]>::to_vec)
}

fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, dimension: usize) -> Vec<f32> {
    let (mut sum, mut count) = (vec![0f32; dimension], 0usize);
    for row in rows {
        count += 1;
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let scale = 1.0 / count.max(1) as f32;
    for value in &mut sum {
        *value *= scale;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pooling_takes_its_rows() {
        let outputs = [1.0, 2.0, 3.0, 4.0, 8.0, 12.0];
        assert_eq!(pool(&outputs, 2, Pooling::Mean, 0), [4.0, 6.0]);
        assert_eq!(pool(&outputs, 2, Pooling::Mean, 1), [5.5, 8.0]);
        assert_eq!(pool(&outputs, 2, Pooling::Mean, 3), [4.0, 6.0], "skipping all would leave nothing");
        assert_eq!(pool(&outputs, 2, Pooling::Cls, 1), [1.0, 2.0]);
        assert_eq!(pool(&outputs, 2, Pooling::LastToken, 0), [8.0, 12.0]);
        assert_eq!(pool(&[], 2, Pooling::Mean, 0), [0.0, 0.0]);
    }
}
