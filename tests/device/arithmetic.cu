// Arithmetic as kernels have it, for cuda_module_test.py to read what nvcc makes of it (PTX).
#include "boundlight/core/interval.hpp"

using namespace boundlight;

template <class T>
__device__ void every(T* x) {
  x[0] = x[1] + x[2] * x[3];  // two roundings
  x[4] = x[5] / x[6] - x[7];
  x[8] = std::sqrt(x[9]);
  x[10] = add_up(x[11], mul_down(x[12], x[13]));
}

extern "C" __global__ void in_float(float* x) { every(x); }
extern "C" __global__ void in_double(double* x) { every(x); }
extern "C" __global__ void from_double(double* x, float* y) { *y = round_up_to<float>(*x * 3); }
extern "C" __global__ void intervals(Interval* x) { x[0] = x[1] * x[2] / x[3] + x[4]; }
