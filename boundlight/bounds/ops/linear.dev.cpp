// The instantiations that linear.hpp and moves.hpp promise.
#include "boundlight/bounds/ops/linear.hpp"
#include "boundlight/bounds/ops/moves.hpp"

namespace boundlight::BL_NS {
template class LinearKernel<float>;
template class LinearKernel<double>;
template class LinearRelaxation<float>;
template class LinearRelaxation<double>;
template class MoveKernel<float>;
template class MoveKernel<double>;
}  // namespace boundlight::BL_NS
