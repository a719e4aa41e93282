//! A macro for enums with a list of all variants.

/// Declares an enum and the list `ALL` of its variants in order, so that no variant can be missing from the list.
macro_rules! every {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        $visibility enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All variants in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
        }
    };
}
