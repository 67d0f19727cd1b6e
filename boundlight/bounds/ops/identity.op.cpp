// Identity: its input. Networks are made without it.
#include "boundlight/bounds/ops/moves.hpp"

#ifdef BL_ONCE
namespace boundlight {

extern const OpInfo Identity_op;
const OpInfo Identity_op = {"Identity", "", typed::same_as_input, typed::moved<typed::same_as_input, moves::in_order>, "alias", "removed", "removed", "removed", "removed", "exact", 1, 1};

}  // namespace boundlight
#endif
BL_REGISTER_FOLDED(Identity)
