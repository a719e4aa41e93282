//! A macro for enums whose variants are all listed somewhere. Not the enums.

/// Declares an enum and, as `ALL`, the list of its variants in their order. A variant can therefore not be
/// missing from the list.
macro_rules! every {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every variant, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
        }
    };
}
