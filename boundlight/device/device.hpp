// Device: where arrays live and functors run. Operators and engines are written once over what is documented here and
// compiled once per back end, each in its own namespace:
//   boundlight::cpu       TBB over fixed blocks, BLAS for gemm            device/cpu/device.hpp
//   boundlight::cuda      one generic kernel per functor, cuBLAS          device/cuda/device.hpp
//   boundlight::emulated  the cuda host code and kernels on the host      device/cuda/device.hpp over device/emulated
// BL_NS is the namespace of the back end being compiled; BL_DEVICE_HEADER its header. Nothing else may ask which it is.
//
// Interface of a Device d (all calls are ordered; a read back of results waits for them):
//   Buffer<T> d.buffer<T>(n)                 n elements, uninitialised; move-only; freed into d's pool
//   d.map(n, f)                              f(i) for 0 <= i < n, any order
//   d.map_rows(rows, cols, f)                f(r, c); consecutive c are consecutive in memory
//   d.sum_rows<K>(rows, cols, f, out)        f(r, c, Sums s) calls s.add(k, x); out[k][r] += the sums, in double,
//                                            any order, cols terms: error <= gamma_cols(double) * sum of |terms|
//   d.max_rows(rows, cols, f, out)           out[r] = max over c of f(r, c) (NaN if any is NaN; -inf when cols == 0)
//   d.gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc)
//                                            row-major c[m][n] = op(a)[m][k] op(b)[k][n] + beta c, in T, any order,
//                                            fused or not; never a reduced precision
//   d.gemm_batched(count, ta, tb, m, n, k, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c)
//                                            gemm on `count` triples, step_x elements apart (step 0: the same operand for all)
//   d.upload(dst, src, n) / d.download(dst, src, n) / d.copy(dst, src, n) / d.fill(dst, value, n)
//   d.memory_in_use(), d.memory_peak()       bytes of live buffers
//   d.check()                                throws if any launch failed since the last check
//   Device::available()                      why the back end cannot be used here (Result<void>)
//
// A functor is BL_HD, captures numbers, device pointers and small structs of them by value (never `this`, never a host
// pointer: the emulated back end refuses those), and calls only BL_HD and constexpr functions. For nvcc, a lambda that is one
// has no `auto` parameter (sums come as Sums) and stands in a function that is public, is no constructor (that calls a public
// member), and has no lambda's type among its own template arguments.
// Determinism: the same bits for any number of threads.
#pragma once

#include BL_DEVICE_HEADER
