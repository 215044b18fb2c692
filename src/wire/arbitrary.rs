//! What the property tests of all wires put into requests.

use crate::model::ImageSource;
use proptest::prelude::*;

/// Text, sometimes none and sometimes only white space.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 1 => Just(" \n".to_owned()), 6 => "[a-zé😀\"\\\\\n]{1,8}"]
}

/// A call's arguments as models write them: none in three spellings, an object, one that was cut, none at all.
pub fn args() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("null".into()),
        Just("{}".into()),
        Just(r#"{"k": [1, "é"]}"#.into()),
        Just(r#"{"k"#.into()),
        Just("not json".into())
    ]
}

/// An image that every wire takes.
pub fn image() -> impl Strategy<Value = ImageSource> {
    prop_oneof![
        Just(ImageSource::Url { url: "https://x/y.png".into() }),
        Just(ImageSource::Inline { media_type: "image/png".into(), data: "QUJD".into() })
    ]
}

/// An image, sometimes one of a type that servers refuse.
pub fn image_of_any_type() -> impl Strategy<Value = ImageSource> {
    prop_oneof![4 => image(), 1 => Just(ImageSource::Inline { media_type: "image/bmp".into(), data: "QUJD".into() })]
}
