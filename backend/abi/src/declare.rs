// SPDX-License-Identifier: MIT OR Apache-2.0
//! Macros that declare a wire structure or enumeration once, as Rust types and
//! as the descriptions from which the C header and the datasheet are made.

/// Declares `#[repr(C)]` structures and their [`crate::describe::Structure`].
macro_rules! wire_structures {
    ($(
        $(#[doc = $doc:literal])*
        pub struct $name:ident($c_name:literal) {
            $( $(#[doc = $field_doc:literal])* pub $field:ident: $ty:ty, )*
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
            )]
            #[repr(C)]
            pub struct $name {
                $( $(#[doc = $field_doc])* pub $field: $ty, )*
            }

            impl $name {
                /// Bytes of the structure on the wire.
                pub const BYTES: usize = core::mem::size_of::<Self>();

                /// The structure's description, from which its C declaration is made.
                pub const DESCRIPTION: crate::describe::Structure = crate::describe::Structure {
                    c_name: $c_name,
                    documentation: &[$($doc),*],
                    bytes: core::mem::size_of::<$name>(),
                    fields: &[$(crate::describe::Field {
                        name: stringify!($field),
                        wire_type: <$ty as crate::describe::WireType>::DESCRIPTION,
                        offset: core::mem::offset_of!($name, $field),
                        documentation: &[$($field_doc),*],
                    }),*],
                };
            }

            impl Default for $name {
                /// All bytes zero.
                fn default() -> Self {
                    zerocopy::FromZeros::new_zeroed()
                }
            }

            const _: () = assert!(core::mem::size_of::<$name>() % 8 == 0);
        )*
    };
}

/// Declares an enumeration of wire codes, its checked conversion from the raw
/// integer, and its [`crate::describe::Enumeration`].
macro_rules! wire_enumerations {
    ($(
        $(#[doc = $doc:literal])*
        pub enum $name:ident($c_prefix:literal): $repr:ty {
            $( $(#[doc = $variant_doc:literal])* $variant:ident = $value:literal => $c_name:literal, )*
        }
    )*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
            #[repr($repr)]
            pub enum $name {
                $( $(#[doc = $variant_doc])* $variant = $value, )*
            }

            impl $name {
                /// Every variant, in order of its code.
                pub const ALL: &'static [$name] = &[$($name::$variant),*];

                /// The enumeration's description, from which its C constants are made.
                pub const DESCRIPTION: crate::describe::Enumeration = crate::describe::Enumeration {
                    c_prefix: $c_prefix,
                    documentation: &[$($doc),*],
                    values: &[$(crate::describe::Value {
                        c_name: $c_name,
                        value: $value,
                        documentation: &[$($variant_doc),*],
                    }),*],
                };

                /// The variant with this code, or `None` if the code is not known.
                pub const fn from_code(code: $repr) -> Option<Self> {
                    match code {
                        $( $value => Some($name::$variant), )*
                        _ => None,
                    }
                }

                /// The code on the wire.
                pub const fn code(self) -> $repr {
                    self as $repr
                }
            }
        )*
    };
}
