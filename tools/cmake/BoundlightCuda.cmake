# The cuda back end, libboundlight_cuda.so: the sources of the other back ends through nvcc, linked with cuBLAS.
#
# BOUNDLIGHT_CUDA = OFF (a build without it is minutes shorter), AUTO (built when nvcc is found; ./test asks for this) or ON
# (configuring fails without it). nvcc is called by rules of our own, for two reasons: CMake 3.25 does not know which architectures nvcc 13 has
# left, and one call that lowers compute_80 once for all GPUs takes a third of the time of one per architecture. Every kernel uses
# what compute_80 offers; its PTX comes along and is what GPUs newer than the listed ones compile.
set(BOUNDLIGHT_CUDA OFF CACHE STRING "The CUDA back end: AUTO, ON or OFF")
set(BOUNDLIGHT_CUDA_CODE sm_80,sm_90,sm_100,compute_80 CACHE STRING "GPUs that the CUDA back end is compiled for (nvcc's code=[...])")
set(BOUNDLIGHT_CUDA_EFFORT mid CACHE STRING "nvcc's --Ofast-compile: mid halves the build; 0 optimises fully, for figures")

# bl_nvcc_object(OUT SOURCE defines...): the rule that compiles SOURCE (made of C++ sources) into OUT.
function(bl_nvcc_object object source)
  set(launcher ${CMAKE_CXX_COMPILER_LAUNCHER})
  set(optimise -O1)  # of host code: it launches and waits
  if(CMAKE_BUILD_TYPE STREQUAL Debug)
    set(optimise -O0)
  endif()
  add_custom_command(OUTPUT ${object}
    COMMAND ${launcher} ${BOUNDLIGHT_NVCC} -c ${source} -o ${object} -MD -MF ${object}.d ${BOUNDLIGHT_NVCC_FLAGS}
      "-gencode=arch=compute_80,code=[${BOUNDLIGHT_CUDA_CODE}]" -Xfatbin=-compress-all
      -Xcompiler=${optimise},-fPIC,-fvisibility=hidden,-ffp-contract=off,-fno-fast-math,-Wno-subobject-linkage ${ARGN}
    DEPENDS ${source} DEPFILE ${object}.d
    COMMENT "Building CUDA object ${object}" VERBATIM)
endfunction()

# bl_nvcc_ptx(OUT SOURCE): the text that nvcc makes of SOURCE's kernels.
function(bl_nvcc_ptx text source)
  add_custom_command(OUTPUT ${text} COMMAND ${BOUNDLIGHT_NVCC} -ptx ${source} -o ${text} -arch=compute_80 ${BOUNDLIGHT_NVCC_FLAGS}
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/boundlight/core/interval.hpp ${PROJECT_SOURCE_DIR}/boundlight/core/rounding.hpp VERBATIM)
endfunction()

function(bl_find_nvcc)
  unset(BOUNDLIGHT_NVCC CACHE)
  if(NOT BOUNDLIGHT_CUDA)
    set(BOUNDLIGHT_NO_CUDA "the option BOUNDLIGHT_CUDA is OFF" CACHE INTERNAL "")
    return()
  elseif(BOUNDLIGHT_SANITIZE)
    set(BOUNDLIGHT_NO_CUDA "a sanitized build has none" CACHE INTERNAL "")
    return()
  endif()
  find_package(CUDAToolkit 12.8 QUIET)  # the first with sm_100
  if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE AND TARGET CUDA::cublas)
    set(BOUNDLIGHT_NVCC ${CUDAToolkit_NVCC_EXECUTABLE} CACHE INTERNAL "")
    # Arithmetic is rounded as it is written (tests/device/cuda_module_test.py reads it off the PTX): charges are made for nothing else.
    set(flags -std=c++20 --extended-lambda --expt-relaxed-constexpr -fmad=false -ftz=false -prec-div=true -prec-sqrt=true
      -ccbin ${CMAKE_CXX_COMPILER} -I${PROJECT_SOURCE_DIR})
    if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 13.0)
      list(APPEND flags --Ofast-compile=${BOUNDLIGHT_CUDA_EFFORT})
    endif()
    set(BOUNDLIGHT_NVCC_FLAGS ${flags} CACHE INTERNAL "")
    message(STATUS "CUDA back end: ${CUDAToolkit_NVCC_EXECUTABLE} ${CUDAToolkit_VERSION}")
  elseif(BOUNDLIGHT_CUDA STREQUAL ON)
    message(FATAL_ERROR "BOUNDLIGHT_CUDA is ON, but there is no CUDA Toolkit 12.8 or newer with cuBLAS; install it or leave the option on AUTO")
  else()
    set(BOUNDLIGHT_NO_CUDA "no CUDA Toolkit 12.8 or newer with cuBLAS was found when the build was configured" CACHE INTERNAL "")
    message(STATUS "CUDA back end: left out, ${BOUNDLIGHT_NO_CUDA}")
  endif()
endfunction()

# The module, from the translation units that BoundlightBackend.cmake makes of all back ends' sources.
function(bl_cuda_module)
  set(BOUNDLIGHT_CUDA_DEFINITIONS -DBL_NS=cuda "-DBL_DEVICE_HEADER=\"boundlight/device/cuda/device.hpp\""
    "-DBL_RUNTIME_HEADER=\"boundlight/device/cuda/runtime.hpp\"" CACHE INTERNAL "")
  bl_units(units cuda .cu 14 8)
  foreach(unit ${units})
    get_filename_component(name ${unit} NAME)
    bl_nvcc_object(${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o ${unit} ${BOUNDLIGHT_CUDA_DEFINITIONS} "-DBOUNDLIGHT_VERSION=\"${PROJECT_VERSION}\"")
    list(APPEND objects ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o)
  endforeach()
  boundlight_module(cuda ${objects})
  set_target_properties(boundlight_cuda PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(boundlight_cuda PRIVATE CUDA::cudart_static CUDA::cublas)
endfunction()
