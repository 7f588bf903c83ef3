# Several files compiled as one, in half the time: GRAFT_UNITY=tests, or all, for the sanitizers' builds. What
# one file names for itself must then be no other's; those that are better off alone are listed here.
set(alone
  models/convnext.cpp models/densenet.cpp models/efficientnet.cpp models/googlenet.cpp  # a Table each,
  models/inception_v3.cpp models/mnasnet.cpp models/mobilenet_v2.cpp models/mobilenet_v3.cpp  # and Stages
  models/regnet.cpp models/resnet.cpp models/resnet_cifar.cpp models/shufflenet_v2.cpp
  models/squeezenet.cpp models/swin.cpp models/vgg.cpp models/vit.cpp
  tests/io_image_test.cpp tests/io_torch_test.cpp tests/layers_conv_norm_act_test.cpp
  tests/layers_schedule_test.cpp tests/models_golden_test.cpp
  tests/models_ridge_test.cpp tests/models_training_step_test.cpp)
set_source_files_properties(${alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
set(targets graft_core_tests graft_layers_tests graft_io_tests graft_models_tests)
if(GRAFT_UNITY STREQUAL "all")
  list(APPEND targets graft_core graft_layers graft_io graft_models graft_apps)
endif()
foreach(target ${targets})
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endforeach()
