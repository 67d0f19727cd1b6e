# Back ends: every *.op.cpp and *.dev.cpp under bounds/ is compiled once per back end in a namespace of its own (BL_NS).
# The cpu one is part of libboundlight; the others are modules opened on demand (device/modules.hpp).
file(GLOB_RECURSE BOUNDLIGHT_DEVICE_SOURCES CONFIGURE_DEPENDS bounds/*.op.cpp bounds/*.dev.cpp)

add_library(backend_cpu OBJECT ${BOUNDLIGHT_DEVICE_SOURCES})
target_compile_definitions(backend_cpu PRIVATE BL_NS=cpu BL_ONCE=1 BL_DEVICE_HEADER="boundlight/device/cpu/device.hpp")
target_compile_options(backend_cpu PRIVATE -O3)
target_link_libraries(backend_cpu PRIVATE boundlight_flags TBB::tbb Boost::headers)
target_sources(boundlight PRIVATE $<TARGET_OBJECTS:backend_cpu>)
