# Sinatra on Puma.
require "sinatra/base"

class App < Sinatra::Base
  set :environment, :production
  get("/health") { "ok" }
  get("/private") { redirect "/session/sign_in" }
  get("/maintenance") { halt 503, "Down for maintenance" }
end

run App
