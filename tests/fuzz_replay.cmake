# The fuzzing targets with a plain main: every kept input, and seeded changes of it, in every build.
add_library(fuzz_replay OBJECT ${CMAKE_SOURCE_DIR}/fuzz/replay.cpp)
target_link_libraries(fuzz_replay PRIVATE boundlight_flags)

function(boundlight_replay name changes)
  add_executable(replay_${name} ${CMAKE_SOURCE_DIR}/fuzz/${name}.cpp $<TARGET_OBJECTS:fuzz_replay>)
  target_link_libraries(replay_${name} PRIVATE boundlight boundlight_flags ${ARGN})
  add_test(NAME fuzz_${name} COMMAND replay_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_corpus/${name} ${changes})
endfunction()

boundlight_replay(onnx 2000)
boundlight_replay(image 2000 ZLIB::ZLIB)
boundlight_replay(array 2000)
boundlight_replay(input 2000)
boundlight_replay(property 2000)
boundlight_replay(check_model 2000)
boundlight_replay(certificate 2000)

# Writes the inputs that fuzzing started from: make_fuzz_seeds FOLDER.
add_executable(make_fuzz_seeds EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/fuzz/make_seeds.cpp)
target_include_directories(make_fuzz_seeds PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(make_fuzz_seeds PRIVATE boundlight boundlight_flags ${BOUNDLIGHT_ONNX_PROTO} protobuf::libprotobuf JPEG::JPEG ZLIB::ZLIB)
