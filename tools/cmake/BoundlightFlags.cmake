# The compile flags of every target, as one interface library.
#
# The floating-point model is pinned: no contraction, no reassociation. A compiler that fuses a*b+c changes the bits that
# the rounding calculus of docs/soundness.md was written for.
add_library(boundlight_flags INTERFACE)
target_compile_options(boundlight_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -fno-fast-math -Wall -Wextra -Wshadow -Wno-sign-compare>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${BOUNDLIGHT_WERROR}>>:-Werror>)
target_include_directories(boundlight_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(BOUNDLIGHT_SANITIZE)
  target_compile_options(boundlight_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${BOUNDLIGHT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all>)
  target_link_options(boundlight_flags INTERFACE -fsanitize=${BOUNDLIGHT_SANITIZE})
endif()
