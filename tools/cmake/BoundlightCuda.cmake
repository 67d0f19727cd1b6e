# The cuda back end, libboundlight_cuda.so: the sources of the other back ends through nvcc, linked with cuBLAS.
#
# BOUNDLIGHT_CUDA = OFF (until the whole module has been built and run), AUTO (built when nvcc is found) or ON (configuring fails
# without it). nvcc is called by rules of our
# own, for two reasons: CMake 3.25 does not know which architectures nvcc 13 has left, and one call that lowers compute_80
# once for all GPUs takes a third of the time of one per architecture. Every kernel uses what compute_80 offers; its PTX comes
# along and is what GPUs newer than the listed ones compile.
set(BOUNDLIGHT_CUDA OFF CACHE STRING "The CUDA back end: AUTO, ON or OFF")
set(BOUNDLIGHT_CUDA_CODE sm_80,sm_90,sm_100,compute_80 CACHE STRING "GPUs that the CUDA back end is compiled for (nvcc's code=[...])")

# bl_nvcc_object(OUT SOURCE defines...): the rule that compiles SOURCE (made of C++ sources) into OUT.
function(bl_nvcc_object object source)
  set(launcher ${CMAKE_CXX_COMPILER_LAUNCHER})
  set(optimise -O1)  # of host code: it launches and waits
  if(CMAKE_BUILD_TYPE STREQUAL Debug)
    set(optimise -O0)
  endif()
  add_custom_command(OUTPUT ${object}
    COMMAND ${launcher} ${BOUNDLIGHT_NVCC} -c ${source} -o ${object} -MD -MF ${object}.d -std=c++20 --extended-lambda --expt-relaxed-constexpr
      -fmad=false -ftz=false -prec-div=true -prec-sqrt=true
      "-gencode=arch=compute_80,code=[${BOUNDLIGHT_CUDA_CODE}]" -ccbin ${CMAKE_CXX_COMPILER}
      -Xcompiler=${optimise},-fPIC,-fvisibility=hidden,-ffp-contract=off,-fno-fast-math -I${PROJECT_SOURCE_DIR} ${ARGN}
    DEPENDS ${source} DEPFILE ${object}.d
    COMMENT "Building CUDA object ${object}" VERBATIM)
endfunction()

function(bl_find_nvcc)
  if(NOT BOUNDLIGHT_CUDA OR BOUNDLIGHT_SANITIZE)
    return()
  endif()
  find_package(CUDAToolkit 12.8 QUIET)  # the first with sm_100
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE AND TARGET CUDA::cublas)
    set(BOUNDLIGHT_NVCC ${CUDAToolkit_NVCC_EXECUTABLE} PARENT_SCOPE)
    message(STATUS "CUDA back end: ${CUDAToolkit_NVCC_EXECUTABLE} ${CUDAToolkit_VERSION}")
  elseif(BOUNDLIGHT_CUDA STREQUAL ON)
    message(FATAL_ERROR "BOUNDLIGHT_CUDA is ON, but there is no CUDA Toolkit 12.8 or newer with cuBLAS; install it or leave the option on AUTO")
  else()
    message(STATUS "CUDA back end: left out, no CUDA Toolkit 12.8 or newer with cuBLAS was found")
  endif()
endfunction()

# The module, from the translation units that BoundlightBackend.cmake makes of all back ends' sources.
function(bl_cuda_module)
  set(definitions -DBL_NS=cuda "-DBL_DEVICE_HEADER=\"boundlight/device/cuda/device.hpp\"" "-DBL_RUNTIME_HEADER=\"boundlight/device/cuda/runtime.hpp\""
    "-DBOUNDLIGHT_VERSION=\"${PROJECT_VERSION}\"")
  bl_units(units cuda .cu 10 1)
  foreach(unit ${units})
    get_filename_component(name ${unit} NAME)
    bl_nvcc_object(${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o ${unit} ${definitions})
    list(APPEND objects ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o)
  endforeach()
  boundlight_module(cuda ${objects})
  set_target_properties(boundlight_cuda PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(boundlight_cuda PRIVATE CUDA::cudart_static CUDA::cublas)
endfunction()
