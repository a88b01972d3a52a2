//! What people see as one thing of a row: a number, a category, a value of a pixel.

use std::ops::Range;

use super::{Feature, FeatureId, Schema};

/// One of the parts of a row; together they are the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Index of its feature in the schema.
    feature: usize,
    /// Its columns of a row.
    pub columns: Range<usize>,
}

impl Schema {
    /// The parts of a row, in the order of its columns.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![];
        for (i, (feature, columns)) in self.columns().enumerate() {
            match feature {
                Feature::Image { .. } => {
                    parts.extend(columns.map(|c| Part { feature: i, columns: c..c + 1 }));
                }
                Feature::Number { .. } | Feature::Category { .. } => {
                    parts.push(Part { feature: i, columns });
                }
                Feature::Id { .. } => {}
            }
        }
        parts
    }

    /// What a part is called: `amount`, `country`, or `image[0,12,7]` (channel, row, column).
    pub fn part_name(&self, part: &Part) -> String {
        match &self.features[part.feature] {
            Feature::Image { .. } => self.name_of(FeatureId(part.columns.start as u32)),
            feature => feature.name().to_owned(),
        }
    }

    /// What a part says in a row, `[width]`: a number, or a category's value; a value that was never learned has no name.
    pub fn part_text(&self, part: &Part, row: &[f32]) -> String {
        let numbers = &row[part.columns.clone()];
        match &self.features[part.feature] {
            Feature::Category { values, .. } => match largest(numbers) {
                Some(at) => values[at].clone(),
                None => "a value that was never learned".to_owned(),
            },
            _ => numbers[0].to_string(),
        }
    }

    /// Makes a part of `row` what it is in `other`, both `[width]`; of a category, the value that is largest there.
    pub fn set_part(&self, part: &Part, row: &mut [f32], other: &[f32]) {
        let (into, from) = (&mut row[part.columns.clone()], &other[part.columns.clone()]);
        match &self.features[part.feature] {
            Feature::Category { .. } => {
                into.fill(0.0);
                if let Some(at) = largest(from) {
                    into[at] = 1.0;
                }
            }
            _ => into.copy_from_slice(from),
        }
    }
}

/// Index of the largest number, unless none is above 0.
fn largest(numbers: &[f32]) -> Option<usize> {
    let all = numbers.iter().copied().enumerate();
    let (at, most) = all.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    (most > 0.0).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let country = Feature::Category {
            name: "country".into(),
            values: vec!["DE".into(), "FR".into()],
            impute: None,
        };
        let image =
            Feature::Image { name: "i".into(), channels: 1, height: 1, width: 2, scale: 1.0 };
        let id = Feature::Id { name: "id".into() };
        Schema { features: vec![Feature::number("amount", 0.0, 9.0), id, country, image] }
    }

    #[test]
    fn the_parts_of_a_row_are_what_people_see_as_one_thing_and_cover_it() {
        let schema = schema();
        let parts = schema.parts();
        let names: Vec<String> = parts.iter().map(|part| schema.part_name(part)).collect();
        assert_eq!(names, ["amount", "country", "i[0,0,0]", "i[0,0,1]"]);
        let columns: Vec<usize> = parts.iter().flat_map(|part| part.columns.clone()).collect();
        assert_eq!(columns, (0..schema.width()).collect::<Vec<_>>());
    }

    #[test]
    fn a_category_is_told_by_its_value_and_set_as_a_whole() {
        let schema = schema();
        let country = &schema.parts()[1];
        let mut row = [1.5, 1.0, 0.0, 0.1, 0.2];
        assert_eq!(schema.part_text(country, &row), "DE");
        schema.set_part(country, &mut row, &[0.0, 0.2, 0.3, 0.0, 0.0]);
        assert_eq!(row, [1.5, 0.0, 1.0, 0.1, 0.2]);
        schema.set_part(country, &mut row, &[0.0; 5]);
        assert_eq!(schema.part_text(country, &row), "a value that was never learned");
        assert_eq!(schema.part_text(&schema.parts()[0], &row), "1.5");
    }
}
