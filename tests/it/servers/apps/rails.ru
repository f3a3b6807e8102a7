# Rails on Puma. Words: hosts, debug, exempt, ssl.
require "action_controller/railtie"

class App < Rails::Application
  words = ENV.fetch("WORDS").split
  exempt = { exclude: ->(request) { request.path == "/health" } }
  config.root = __dir__
  config.eager_load = false
  config.logger = Logger.new($stdout)
  config.secret_key_base = "of the tests" * 6
  config.hosts = ["www.example.com"] if words.include?("hosts")
  config.force_ssl = words.include?("ssl")
  config.consider_all_requests_local = words.include?("debug")
  if words.include?("exempt")
    config.host_authorization = exempt
    config.ssl_options = { redirect: exempt }
  end
  routes.append do
    get "/health" => "health#show"
    get "/private" => "health#private"
    get "/boom" => "health#boom"
  end
end

class HealthController < ActionController::Base
  http_basic_authenticate_with name: "user", password: "of the tests", only: :private

  def show = render(plain: "ok")
  def private = show
  def boom = raise("boom")
end

App.initialize!
run App
