//! The cheapest one-to-one assignment.

/// Assigns each row one column of the square matrix `costs`, so that the sum is smallest: the column of each row
/// (the Hungarian method with potentials, in cubic time).
pub(crate) fn cheapest_assignment(costs: &[Vec<i64>]) -> Vec<usize> {
    let size = costs.len();
    // Row and column 0 stand for "none"; real ones count from 1.
    let mut row_potential = vec![0; size + 1];
    let mut column_potential = vec![0; size + 1];
    let mut row_of = vec![0; size + 1];
    for row in 1..=size {
        let mut reached_from = vec![0; size + 1];
        let mut slack = vec![i64::MAX; size + 1];
        let mut visited = vec![false; size + 1];
        row_of[0] = row;
        let mut column = 0;
        while row_of[column] != 0 {
            visited[column] = true;
            let at = row_of[column];
            let (mut delta, mut next) = (i64::MAX, 0);
            for candidate in (1..=size).filter(|&candidate| !visited[candidate]) {
                let reduced = costs[at - 1][candidate - 1] - row_potential[at] - column_potential[candidate];
                if reduced < slack[candidate] {
                    slack[candidate] = reduced;
                    reached_from[candidate] = column;
                }
                if slack[candidate] < delta {
                    delta = slack[candidate];
                    next = candidate;
                }
            }
            for candidate in 0..=size {
                if visited[candidate] {
                    row_potential[row_of[candidate]] += delta;
                    column_potential[candidate] -= delta;
                } else if candidate > 0 {
                    slack[candidate] -= delta;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[reached_from[column]];
            column = reached_from[column];
        }
    }
    let mut column_of = vec![0; size];
    for column in 1..=size {
        column_of[row_of[column] - 1] = column - 1;
    }
    column_of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cost(costs: &[Vec<i64>], column_of: &[usize]) -> i64 {
        column_of.iter().enumerate().map(|(row, &column)| costs[row][column]).sum()
    }

    fn cheapest_by_trying_all(costs: &[Vec<i64>], taken: &mut Vec<usize>) -> i64 {
        if taken.len() == costs.len() {
            return cost(costs, taken);
        }
        let mut best = i64::MAX;
        for column in 0..costs.len() {
            if !taken.contains(&column) {
                taken.push(column);
                best = best.min(cheapest_by_trying_all(costs, taken));
                taken.pop();
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_other_assignment_is_cheaper(costs in (1usize..6).prop_flat_map(|size| {
            prop::collection::vec(prop::collection::vec(0i64..50, size), size)
        })) {
            let column_of = cheapest_assignment(&costs);
            let mut sorted = column_of.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..costs.len()).collect::<Vec<_>>());
            prop_assert_eq!(cost(&costs, &column_of), cheapest_by_trying_all(&costs, &mut Vec::new()));
        }
    }
}
