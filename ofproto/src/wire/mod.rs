//! Model ⇄ bytes. Version differences live below this module and nowhere else.
